"""How tokens read to a person: small tokenizers of every kind, built here, and the texts they must give back."""

from __future__ import annotations

import pytest

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

from model.checkpoints.tokens.token_texts import byte_alphabet, from_bytes, kind, readable, words  # noqa: E402

TEXTS = [
    "The cat sat on the mat because it was tired.",
    "我喜欢中文，也喜欢猫。",
    "emoji: 🙂 and 👩‍👩‍👧 in a line",
    "مرحبا بالعالم",
    "  two spaces\tand a tab\nand a line",
    "naïve café œuvre — “quotes”",
]
UNSEEN = "Zwölf 龘 ꙮ 🦖 שלום!"


def fast(tokenizer: Tokenizer, **special: str):
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def byte_level(size: int = 400, prefix_space: bool = False):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXTS * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 0), ("</s>", 1)])
    return fast(tokenizer, bos_token="<s>", eos_token="</s>")


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=140, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    return fast(tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")


def unigram(pre_tokenizer: bool = True):
    letters = sorted({c for c in "".join(TEXTS) if c.isascii() and not c.isspace()})
    vocabulary = [("<unk>", 0.0), ("<s>", 0.0), *((f"<0x{b:02X}>", -9.0) for b in range(256))]
    vocabulary += [("▁", -3.0), ("▁the", -2.0), ("▁cat", -2.0), ("مرحبا", -2.0), *((c, -6.0) for c in letters)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:  # as Llama 2 and Gemma have it
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return fast(tokenizer, unk_token="<unk>", bos_token="<s>")


def ids(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_byte_alphabet_is_the_librarys():
    assert set(byte_alphabet()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(byte_alphabet().values()) == list(range(256))
    assert [byte_alphabet()[c] for c in "Ġ!Ċ"] == [0x20, 0x21, 0x0A]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\xe4\xbd", "⟨E4 BD⟩"),
        (b" \xe4\xbd", " ⟨E4 BD⟩"),
        (b"\xa0x", "⟨A0⟩x"),
        (b"\xbd\xa0\xe4\xbd\xa0", "⟨BD A0⟩你"),
        (b"a\xffb", "a⟨FF⟩b"),
        ("a�".encode(), "a⟨EF BF BD⟩"),  # the sign for "no character" as a character of the text
    ],
)
def test_bytes_that_are_no_character_stand_as_numbers(data: bytes, text: str):
    assert from_bytes(data) == text


@pytest.mark.parametrize("text", [*TEXTS, UNSEEN])
@pytest.mark.parametrize("size", [258, 400, 700])
def test_byte_level_texts_join_to_the_text(text: str, size: int):
    """Where every token's bytes are whole characters; elsewhere their numbers are the text's own bytes, in order."""
    tokenizer = byte_level(size)
    assert kind(tokenizer) == "bytes"
    shown = readable(tokenizer, ids(tokenizer, text))
    assert "�" not in "".join(shown)
    data = b""
    for token in shown:
        for i, part in enumerate(token.replace("⟩", "⟨").split("⟨")):
            data += bytes.fromhex(part) if i % 2 else part.encode()
    assert data.decode() == text
    if "⟨" not in "".join(shown):
        assert "".join(shown) == text


def test_a_byte_level_vocabulary_without_merges_is_all_torn():
    tokenizer = byte_level(258)
    assert readable(tokenizer, ids(tokenizer, "a 你")) == ["a", " ", "⟨E4⟩", "⟨BD⟩", "⟨A0⟩"]


def test_whole_characters_are_themselves():
    tokenizer = byte_level(700)
    shown = readable(tokenizer, ids(tokenizer, "مرحبا بالعالم"))
    assert "".join(shown) == "مرحبا بالعالم"
    assert " ب" in shown[1]
    assert "".join(readable(tokenizer, ids(tokenizer, TEXTS[1]))) == TEXTS[1]


def test_special_and_added_tokens_stand_as_they_are():
    tokenizer = byte_level()
    tokenizer.add_tokens(["<mine é>"])
    given = tokenizer("The<mine é>")["input_ids"]
    shown = readable(tokenizer, given)
    assert (shown[0], shown[-2], shown[-1]) == ("<s>", "<mine é>", "</s>")
    assert readable(tokenizer, [10**6]) == ["#1000000"]


def test_word_piece_keeps_its_mark():
    tokenizer = word_piece()
    assert kind(tokenizer) == "wordpiece"
    given = tokenizer("The cats 中文")["input_ids"]
    shown = readable(tokenizer, given)
    assert shown == tokenizer.convert_ids_to_tokens(given)
    assert any(token.startswith("##") for token in shown)
    numbers = words(tokenizer, given, "The cats 中文")
    assert numbers[0] is None and numbers[-1] is None
    assert numbers[1:-1] == words(tokenizer, given[1:-1])  # the same without the text


def test_an_unknown_word_and_a_gap_are_words():
    tokenizer = word_piece()
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    text = "The ꙮ [MASK] mat"
    given = tokenizer(text)["input_ids"]
    shown = readable(tokenizer, given)
    unknown, gap = shown.index("[UNK]"), shown.index("[MASK]")
    numbers = words(tokenizer, given, text)
    assert numbers[unknown] == 1 and numbers[gap] == 2 and numbers[gap + 1] == 3
    assert numbers[0] is None and numbers[-1] is None


def test_pieces_read_with_spaces_and_bytes():
    tokenizer = unigram()
    assert kind(tokenizer) == "pieces"
    assert readable(tokenizer, ids(tokenizer, "the cat 你\n")) == [" the", " cat", " ", "⟨E4⟩", "⟨BD⟩", "⟨A0⟩", "\n"]
    assert "".join(readable(tokenizer, ids(tokenizer, "مرحبا"))) == " مرحبا"


@pytest.mark.parametrize("pre_tokenizer", [True, False])
def test_words_of_pieces(pre_tokenizer: bool):
    tokenizer = unigram(pre_tokenizer)
    text = "the cat sat"
    given = ids(tokenizer, text)
    assert readable(tokenizer, given) == [" the", " cat", " ", "s", "a", "t"]
    assert words(tokenizer, given, text) == [0, 1, 2, 2, 2, 2]
    assert words(tokenizer, [1, *given], text) == [None, 0, 1, 2, 2, 2, 2]


def test_words_of_bytes_are_the_pre_tokenizers():
    tokenizer = byte_level()
    text = "The cat, tired."
    given = tokenizer(text)["input_ids"]
    numbers, shown = words(tokenizer, given, text), readable(tokenizer, given)
    assert numbers[0] is None and numbers[-1] is None
    joined = {}
    for number, token in zip(numbers[1:-1], shown[1:-1], strict=True):
        joined[number] = joined.get(number, "") + token
    assert list(joined.values()) == ["The", " cat", ",", " tired", "."]
    assert list(joined) == [0, 1, 2, 3, 4]


def test_words_without_the_text_begin_at_spaces():
    tokenizer = byte_level()
    given = tokenizer("The cat, tired.")["input_ids"]
    joined = {}
    for number, token in zip(words(tokenizer, given, "another text"), readable(tokenizer, given), strict=True):
        joined[number] = joined.get(number, "") + token
    assert joined == {None: "<s></s>", 0: "The", 1: " cat,", 2: " tired."}


def test_words_that_end_with_a_mark():
    """CLIP's: a byte alphabet whose words end in </w>."""
    tokenizer = Tokenizer(models.BPE({"c": 0, "a": 1, "t</w>": 2, "Ã©</w>": 3, "a</w>": 4}, []))
    tokenizer.decoder = decoders.ByteLevel()
    found = fast(tokenizer)
    assert readable(found, [4, 0, 1, 2, 3]) == ["a ", "c", "a", "t ", "é "]
    assert words(found, [4, 0, 1, 2, 3]) == [0, 1, 1, 1, 2]


def test_byte_tokens_of_byt5():
    tokenizer = transformers.ByT5Tokenizer()
    given = tokenizer("hé")["input_ids"]
    assert readable(tokenizer, given) == ["h", "⟨C3⟩", "⟨A9⟩", "</s>"]
    assert words(tokenizer, given, "hé") == [0, 0, 0, None]


@pytest.mark.parametrize("build", [byte_level, word_piece, unigram])
def test_an_empty_text_has_no_words(build):
    assert words(build(), [], "") == []
    assert readable(build(), []) == []
