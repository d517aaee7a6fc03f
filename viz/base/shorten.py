"""A text made short enough for a label: cut between words and not in one, in scripts without spaces between characters."""

from __future__ import annotations

import unicodedata

END = "…"
_JOINED = "\u200d\ufe0f\u0e33\u0eb3"  # a joiner, a variation selector, and two vowels that end a syllable


def shorten(text: str, most: int) -> str:
    """At most `most` characters, the last an ellipsis where any is missing. A first word that is longer is cut itself."""
    if len(text) <= most:
        return text
    stop = max(1, most - len(END))
    while stop > 1 and not _between_characters(text, stop):
        stop -= 1
    word = stop
    while word > 0 and _inside_word(text, word):
        word -= 1
    return text[: word if text[:word].strip() else stop].rstrip() + END


def join_short(parts: list[str], most: int, between: str = " ") -> str:
    """As many of `parts` as have room, whole, and an ellipsis where any is missing."""
    whole = between.join(parts)
    if len(whole) <= most:
        return whole
    for count in range(len(parts) - 1, 0, -1):
        if len(said := between.join([*parts[:count], END])) <= most:
            return said
    return shorten(whole, most)


def _between_characters(text: str, at: int) -> bool:
    """Whether a person would say that a character begins at `at`: no accent, and not the second half of an emoji."""
    mark = unicodedata.category(text[at]).startswith("M") or text[at] in _JOINED
    return not mark and text[at - 1] != "\u200d"


def _inside_word(text: str, at: int) -> bool:
    """Whether `at` lies in a word of a script that puts spaces between words."""
    return all(_of_word(letter) for letter in text[at - 1 : at + 1])


def _of_word(letter: str) -> bool:
    wide = unicodedata.east_asian_width(letter) in "WF"  # Chinese, Japanese; Korean has spaces
    korean = "\uac00" <= letter <= "\ud7a3"
    return (letter.isalnum() or letter in "'’-_" or unicodedata.category(letter).startswith("M")) and (
        korean or not wide
    )
