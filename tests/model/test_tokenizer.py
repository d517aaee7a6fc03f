"""Text in, ids out, never a silent change."""

from __future__ import annotations

import random
import time

import pytest

from model.errors import EmptyText, TextTooLong, UnknownWords
from model.text.tokenizer import Tokenizer
from tests.model import tiny

SOURCE, TARGET = Tokenizer(tiny.SOURCE), Tokenizer(tiny.TARGET)
LETTERS = Tokenizer(("<pad>", "<iso>", "</s>", *"0123456789 -/.,abcdefghijklmnopqrstuvwxyzéÉ<>年"), "characters", 40)


def unknown(tokenizer: Tokenizer, text: str) -> dict[str, list[str]]:
    with pytest.raises(UnknownWords) as refused:
        tokenizer.read(text)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.isprintable()
    assert len(sentence) < 2000
    found = dict(refused.value.values["unknown"])
    assert all(f"“{word}”" in sentence for word in found)
    return found


def test_words_become_their_ids():
    reading = SOURCE.read("  the cat\tsat on\nthe mat. ")
    assert reading.tokens == ("the", "cat", "sat", "on", "the", "mat", ".")
    assert reading.ids == (1, 2, 3, 4, 1, 5, 13)
    assert reading.folded == ()


def test_unknown_words_are_named_with_their_nearest():
    found = unknown(SOURCE, "the catt sat on xylophone and the catt")
    assert list(found) == ["catt", "xylophone", "and"]
    assert found["catt"][0] == "cat"
    assert found["xylophone"] == []
    assert not any("<pad>" in nearest for nearest in unknown(SOURCE, "pad pat").values())


def test_emptiness_is_said():
    for text in ("", "   ", "\n\t\r", "\u3000\u2028"):
        with pytest.raises(EmptyText, match="type at least one word"):
            SOURCE.read(text)


@pytest.mark.parametrize("text", ["cat " * 10_000, "nonsense " * 10_000, "猫" * 10_000, "x" * 100_000, "?" * 10_000])
def test_ten_thousand_words_are_refused_at_once(text: str):
    started = time.perf_counter()
    for tokenizer in (SOURCE, TARGET):
        with pytest.raises((TextTooLong, UnknownWords)) as refused:
            tokenizer.read(text)
        assert len(str(refused.value)) < 300
    assert time.perf_counter() - started < 5
    with pytest.raises(TextTooLong, match="10000 tokens, and this model reads at most 100"):
        SOURCE.read("cat " * 10_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the cat 🐈", "🐈"),
        ("the cat 👩‍👩‍👧", "👩"),
        ("the\x00cat", "U+0000"),
        ("the cat\x1b[31m", "U+001B"),
        ("the\u200bcat", "U+200B"),
        ("the \u202ecat", "U+202E"),
        ("the القط sat", "القط"),
        ("the חתול", "חתול"),
        ("the \ud800cat", "U+D800"),
    ],
)
def test_odd_characters_are_named_not_dropped(text: str, said: str):
    assert said in unknown(SOURCE, text)


@pytest.mark.parametrize("special", ["<pad>", "</s>", "<zh>", "<fr>", "<PAD>"])
def test_typed_special_tokens_are_text(special: str):
    for tokenizer in (SOURCE, TARGET):
        assert "<" in unknown(tokenizer, special)
    assert special not in LETTERS.read(special.lower().replace("é", "e")).tokens
    assert LETTERS.read("</s>").tokens == ("<", "/", "s", ">")


def test_a_word_that_is_spelled_like_a_special_token_is_never_that_token():
    odd = Tokenizer(("<pad>", "</s>", "<", "/", ">", "s", "pad"))
    assert odd.read("<pad>").tokens == ("<", "pad", ">")
    assert odd.read("</s>").tokens == ("<", "/", "s", ">")
    assert not any(odd.is_special(token) for token in odd.read("<pad></s>").tokens)


def test_case_folding_is_reported():
    reading = SOURCE.read("The CAT sat on I")
    assert reading.tokens == ("the", "cat", "sat", "on", "I")
    assert reading.folded == (("The", "the"), ("CAT", "cat"))
    assert TARGET.read("J'aime les chats").folded == (("J'aime", "j'aime"),)
    assert SOURCE.read("i sat").folded == (("i", "I"),)  # up only where the vocabulary has no lower-case word


def test_chinese_needs_no_spaces():
    assert TARGET.read("我喜欢猫。").tokens == ("我", "喜欢", "猫", "。")
    assert TARGET.read("我 喜欢猫").tokens == ("我", "喜欢", "猫")
    assert "我喜狗" in unknown(TARGET, "我喜狗")


def test_segmentation_takes_the_fewest_words():
    words = Tokenizer(("<pad>", "中", "国", "中国", "国人", "人", "中国人", "民", "人民"))
    assert words.read("中国人").tokens == ("中国人",)
    assert words.read("中国人民").tokens in (("中国", "人民"), ("中国人", "民"))
    assert words.read("国人民").tokens in (("国", "人民"), ("国人", "民"))


def test_segmentation_agrees_with_trying_everything():
    choice = random.Random(4)
    known = ["中", "国", "人", "中国", "国人", "人中", "中国人中", "国中国"]
    tokenizer = Tokenizer(("<pad>", *known))

    def fewest(text: str) -> int:
        if not text:
            return 0
        return 1 + min(fewest(text[len(w) :]) for w in known if text.startswith(w))

    for _ in range(60):
        text = "".join(choice.choices("中国人", k=choice.randint(1, 8)))
        tokens = tokenizer.read(text).tokens
        assert "".join(tokens) == text
        assert len(tokens) == fewest(text)


def test_french_elides():
    for typed in ("j'aime les chats", "j’aime les chats", "j' aime les chats"):
        assert TARGET.read(typed).tokens == ("j'", "aime", "les", "chats")
    assert "j'adore" in unknown(TARGET, "j'adore les chats")
    assert "lechat" in unknown(TARGET, "lechat")  # words of letters are never cut where no space is missing by rule


def test_id_0_is_padding():
    for vocabulary in ((), ("the", "<pad>"), ("</s>", "the")):
        with pytest.raises(ValueError, match="must be <pad>"):
            Tokenizer(vocabulary)
    assert SOURCE.is_special("<pad>")
    assert not SOURCE.is_special("<other>")
    assert not SOURCE.is_special("<")


def test_random_texts_come_back():
    choice = random.Random(0)
    for tokenizer in (SOURCE, TARGET):
        plain = [token for token in tokenizer.vocabulary if not tokenizer.is_special(token)]
        for _ in range(200):
            tokens = choice.choices(plain, k=choice.randint(1, 20))
            reading = tokenizer.read(tokenizer.text(tokens))
            assert list(reading.tokens) == tokens
            assert [tokenizer.vocabulary[i] for i in reading.ids] == tokens
            assert 0 not in reading.ids


def test_characters_keep_inner_spaces():
    reading = LETTERS.read("  le  14 juin ")
    assert "".join(reading.tokens) == "le  14 juin"
    assert LETTERS.text(reading.tokens) == "le  14 juin"
    assert LETTERS.text(["<iso>", "2", "0", "</s>"]) == "20"
    assert LETTERS.read("14 Juin").folded == (("J", "j"),)
    assert "ü" in unknown(LETTERS, "jün")


def test_composed_and_decomposed_letters_are_the_same():
    assert LETTERS.read("e\u0301te\u0301").tokens == ("é", "t", "é")


def test_a_text_of_exactly_the_maximum_length_is_read():
    assert len(LETTERS.read("1" * 40).ids) == 40
    with pytest.raises(TextTooLong, match="41 tokens"):
        LETTERS.read("1" * 41)
