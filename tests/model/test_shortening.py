"""The start of a text that is still read: as long as can be, at a token's end, of the tokens that the whole begins with."""

from __future__ import annotations

import pytest

from model.text.tokenizer import PAD, Tokenizer
from model.text.truncation import longest_start
from tests.model import tiny

WORDS = Tokenizer((PAD, "the", "cat", "l'", "eau", "café", "."), "words", 5)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("the cat the cat the cat", ("the cat the cat the", 5)),
        ("the  cat. the cat. the", ("the  cat. the cat", 5)),
        ("l'eau l'eau l'eau", ("l'eau l'eau", 4)),  # a piece of two words fits whole or not at all
        ("the cat the cat cafe\u0301 the", ("the cat the cat cafe\u0301", 5)),  # an accent stays with its letter
        ("the catz the cat the cat", ("the catz the cat the", 5)),  # what is unknown is said when it is run
    ],
)
def test_our_own_words(text: str, want: tuple[str, int]) -> None:
    found = WORDS.start(text)
    assert (found.text, found.tokens) == want


@pytest.mark.parametrize("text", ["", "the cat", "the cat the cat the"])
def test_a_text_that_is_read_whole_is_not_cut(text: str) -> None:
    assert WORDS.start(text) is None


def test_single_characters() -> None:
    assert Tokenizer((PAD, "1", "2"), "characters", 3).start("121212").text == "121"


def test_a_cut_that_would_change_its_tokens_moves_back() -> None:
    # Pretend that an "a" at the very end joins what stands before it.
    text, ends = "aab aab aab", [1, 3, 5, 7, 9, 11]
    found = longest_start(text, ends, lambda part: sum(end <= len(part) for end in ends), 3, lambda p: p.endswith("b"))
    assert (found.text, found.tokens) == ("aab", 2)


def test_no_room_for_a_single_token() -> None:
    assert longest_start("a b", [1, 3], lambda part: 10, 5) is None


@pytest.mark.parametrize(("text", "pair"), [("the cat sat on the mat ", None), ("Unbelievable cats! ", "the street")])
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_library_tokenizers_by_their_offsets(tmp_path, family: str, text: str, pair: str | None) -> None:
    pytest.importorskip("transformers")
    from model import open_model
    from model.checkpoints.truncate import shortened
    from tests.app import checkpoints

    opened = open_model(checkpoints.write(tmp_path / family, family))
    whole = text * 400
    found = shortened(opened, whole, pair, False, 5)
    if family == "t5":  # relative positions alone: no limit
        assert found is None
        return
    room = opened.max_length - (5 if family == "gpt2" else 0)
    assert whole.startswith(found.text) and found.tokens == opened.encode(found.text, pair).length
    ids, plain = (opened.tokenizer(part, add_special_tokens=False).input_ids for part in (whole, found.text))
    assert plain == ids[: len(plain)]
    # As long as can be: with the piece that follows there are too many, unless pieces share a word.
    assert room - 3 <= found.tokens <= room
    assert shortened(opened, text, pair) is None


def test_a_gap_is_never_cut_in_two(tmp_path) -> None:
    pytest.importorskip("transformers")
    from model import open_model
    from model.checkpoints.truncate import shortened
    from tests.app import checkpoints

    opened = open_model(checkpoints.write(tmp_path / "bert", "bert"))
    for gap in ("[MASK]", "<mask>"):
        found = shortened(opened, f"the {gap} " * 60)
        assert found.tokens == 64 and found.text.endswith(f"the {gap}")


def test_an_opened_model_of_our_own(tmp_path) -> None:
    from model import open_model
    from model.checkpoints.truncate import shortened

    opened = open_model(tiny.write_checkpoint(tmp_path / "ours"))
    word = next(word for word in opened.source.vocabulary if word.isalpha())
    found = shortened(opened, f"{word} " * 500)
    assert found.tokens == opened.source.max_length == len(opened.read(found.text).ids)
