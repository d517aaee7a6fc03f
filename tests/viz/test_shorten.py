"""A text that is shortened for a label: no word is cut in two, no character either."""

from __future__ import annotations

import random

import pytest

from viz.base.shorten import join_short, shorten


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("seven old teachers", 9, "seven…"), ("seven old teachers", 10, "seven old…"),
        ("seven old teachers", 18, "seven old teachers"),
        ("seven  old", 8, "seven…"), ("the animal didn't cross", 17, "the animal…"), ("a well-known fact", 8, "a…"),
        ("她喜欢红色的苹果。", 6, "她喜欢红色…"), ("她喜欢apples和梨", 7, "她喜欢…"), ("她喜欢 red apples", 8, "她喜欢 red…"),
        ("안녕하세요 여러분", 7, "안녕하세요…"), ("unbelievable things", 6, "unbel…"), ("e\u0301te\u0301 is", 3, "e\u0301…"),
        ("👩\u200d🔬👩\u200d🔬👩\u200d🔬", 6, "👩\u200d🔬…"), ("", 5, ""), ("ab", 1, "a…"), (" word", 3, " w…"),
    ],
)  # fmt: skip
def test_a_text_is_cut_between_words(text: str, most: int, shown: str) -> None:
    assert shorten(text, most) == shown


def test_what_is_shown_begins_the_text_and_ends_a_word() -> None:
    choice = random.Random(0)
    words = ["seven", "old", "teachers", "d'accord", "été", "re-read"]
    for _ in range(500):
        text = " ".join(choice.choices(words, k=12))
        most = choice.randrange(12, 60)
        shown = shorten(text, most)
        whole = shown.removesuffix("…")
        assert len(shown) <= most and text.startswith(whole + " ") and set(whole.split()) <= set(words)


def test_tokens_stay_whole() -> None:
    assert join_short(["seven", "old", "teachers"], 12) == "seven old …"
    assert join_short(["seven", "old"], 9) == "seven old"
    assert join_short(["unbelievable", "x"], 6) == "unbel…"
    assert (
        join_short(["她", "喜欢", "苹果"], 5, "") == "她喜欢苹果"
        and join_short(["她", "喜欢", "苹果"], 4, "") == "她喜欢…"
    )
    assert join_short([], 4) == ""
