"""What people type, and tokenizers and templates that cannot take it: one sentence each, never a library's own error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from model import errors, open_model
from model.checkpoints.tokens.encode import encode, tokenized
from tests.model.test_hugging_face import write

LONE = "the \ud83d cat"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, Path]:
    return {name: write(tmp_path_factory.mktemp(name) / name, name) for name in ("bert", "gpt2", "bart", "t5")}


def with_tokenizer(source: Path, folder: Path, core: Tokenizer, **special: str):
    from transformers import PreTrainedTokenizerFast

    shutil.copytree(source, folder)
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=core, **special).save_pretrained(folder)
    return open_model(folder)


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("{{ raise_exception('Roles must alternate') }}", "Roles must alternate"),
        ("{% for m in messages %}{{ m['content'] }", "unexpected"), ("{{ messages[0].foo.bar }}", "foo"),
        ([{"name": "rag", "template": "x"}], "chat templates"), ("{{ 1 / 0 }}", "division"),
    ],
    ids=str,
)  # fmt: skip
def test_a_chat_template_that_gives_up(sound: dict[str, Path], tmp_path: Path, template: object, part: str):
    folder = Path(shutil.copytree(sound["gpt2"], tmp_path / "chat"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
    model = open_model(folder)
    with pytest.raises(errors.ChatTemplateFailed) as caught:
        model.trace("the cat\na dog", chat=True)
    assert part in str(caught.value) and "\n" not in str(caught.value)
    assert len(model.trace("the cat").tokens("decoder")) == 2


def test_a_template_that_writes_nothing(sound: dict[str, Path]):
    tokenizer = open_model(sound["gpt2"]).tokenizer
    tokenizer.chat_template = "{# nothing #}"
    with pytest.raises(errors.NoTokens):
        encode(tokenizer, "the cat", chat=True)


@pytest.mark.parametrize("name", ["bert", "gpt2", "bart", "t5"])
def test_a_tokenizer_of_another_model_is_said(sound: dict[str, Path], tmp_path: Path, name: str):
    core = Tokenizer(models.WordLevel({"the": 0, "cat": 5000, "dog": 97, "mat": 96, "<unk>": 1}, unk_token="<unk>"))
    model = with_tokenizer(sound[name], tmp_path / "other", core, unk_token="<unk>", pad_token="the", eos_token="the")
    ran: list[object] = []
    model.module.get_encoder().register_forward_hook(lambda *_: ran.append(1)) if name in ("bart", "t5") else None
    for word, number in (("cat", 5000), ("dog", 97)):
        with pytest.raises(errors.ForeignTokenizer) as caught:
            model.trace(f"the {word} mat")
        assert all(part in str(caught.value) for part in (word, str(number), "0 to 96"))
    assert not ran
    if name in ("bart", "t5"):  # a forced output is read by the decoder's own module of the table
        with pytest.raises(errors.ForeignTokenizer):
            model.trace("the mat", target="the cat mat")
    assert model.trace("the mat the").fidelity().holds


def test_the_check_changes_no_number(sound: dict[str, Path]):
    from model.checkpoints.library import load as loading

    model = open_model(sound["gpt2"])
    ids = torch.tensor([model.trace("the cat sat").side("decoder").ids])
    with torch.no_grad():
        expected = loading.read(sound["gpt2"]).module(ids).logits[0]
    assert torch.equal(model.trace("the cat sat").logits, expected)


@pytest.mark.parametrize("kind", ["words", "wordpiece", "unigram"])
def test_an_unknown_word_without_a_token_for_it(sound: dict[str, Path], tmp_path: Path, kind: str):
    core = {
        "words": lambda: models.WordLevel({"the": 0, "cat": 5}),
        "wordpiece": lambda: models.WordPiece({"the": 0, "cat": 5}, unk_token="[UNK]"),
        "unigram": lambda: models.Unigram([("the", 0.0), ("cat", -1.0), *((letter, -9.0) for letter in "theca")]),
    }[kind]()
    model = with_tokenizer(sound["gpt2"], tmp_path / "strict", Tokenizer(core))
    assert len(model.trace("the cat").side("decoder").ids) == 2
    with pytest.raises(errors.UnknownWords) as caught:
        model.trace("the zebra cat zebra \u200bowl " + "x" * 100)
    assert [word for word, _ in caught.value.values["unknown"]] == ["zebra", "U+200Bowl", "x" * 40 + "…"]


def test_a_text_that_leaves_no_token(sound: dict[str, Path], tmp_path: Path):
    model = with_tokenizer(sound["bert"], tmp_path / "letters", Tokenizer(models.BPE({"a": 0, "b": 1}, [])))
    with pytest.raises(errors.NoTokens):
        model.trace("zzz")
    assert len(model.trace("zab").tokens("encoder")) == 2


def test_half_a_character_is_named(sound: dict[str, Path]):
    model = open_model(sound["bert"])
    for given in ((LONE,), ("the cat", LONE), ("the \ud83d\ude00 cat",)):
        with pytest.raises(errors.HalfCharacter, match=r"U\+D83D"):
            model.trace(given[0], pair=given[1] if len(given) > 1 else None)
    model.tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    with pytest.raises(errors.HalfCharacter):
        encode(model.tokenizer, LONE, chat=True)
    with pytest.raises(errors.HalfCharacter):
        tokenized(model.tokenizer, text_target=LONE)
    assert tokenized(model.tokenizer, text_target="the cat").input_ids.shape == (1, 2)


@pytest.mark.parametrize("text", ["", "   \n\t ", "\u00a0\u3000"], ids=ascii)
@pytest.mark.parametrize("chat", [False, True])
def test_nothing_to_read(sound: dict[str, Path], text: str, chat: bool):
    with pytest.raises(errors.EmptyText):
        encode(open_model(sound["gpt2"]).tokenizer, text, chat=chat)


@pytest.mark.parametrize("name", ["bert", "gpt2", "bart"])
def test_what_people_really_paste(sound: dict[str, Path], name: str):
    model = open_model(sound[name])
    pasted = ["the \0 cat", "\0\0", "مرحبا \u202e cat", "👩‍👩‍👧", "<s></s><pad>", "[MASK]", "</s>", "\ufeff", "\u200b",
              "x" * 100_000, "e" + "\u0301" * 2000, "".join(map(chr, range(1, 32))), "\uffff\U0010ffff"]  # fmt: skip
    for text in pasted:
        trace = model.trace(text)
        assert trace.fidelity().holds and all(side.texts for side in trace.sides.values()), ascii(text)[:40]
    with pytest.raises(errors.TextTooLong):
        model.trace("the cat " * 50_000)


def without_unknown(known: str, split: str):
    """A tokenizer of single characters that has no token for what it does not know."""
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({char: i for i, char in enumerate(known)}, unk_token="?"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(split), behavior="isolated")
    return PreTrainedTokenizerFast(tokenizer_object=core)


@pytest.mark.parametrize(
    ("text", "split", "named"),
    [
        ("ab c", ".", ["“U+0020”"]), ("ab\tc", ".", ["“U+0009”"]),  # between words that are all known
        ("ab xyz yz", ".", ["“xyz”", "“yz”"]), ("c a b", "a b|.", ["“a b”"]),  # known alone, and not in company
    ],
)  # fmt: skip
def test_what_is_unknown_is_never_an_empty_word(text: str, split: str, named: list[str]):
    tokenizer = without_unknown("abc" + (" " if named == ["“a b”"] else ""), split)
    with pytest.raises(errors.UnknownWords) as caught:
        tokenized(tokenizer, text)
    assert str(caught.value).startswith(f"This model does not know {', '.join(named)}. ")
