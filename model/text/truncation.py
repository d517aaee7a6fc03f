"""The start of a text that a model still reads: cut where one of its tokens ends, and never silently."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_BACK = 32  # tokens that are given up to find a cut that leaves those before it as they were


@dataclass(frozen=True)
class Start:
    """The first characters of a text, and how many tokens the model makes of them, special tokens counted."""

    text: str
    tokens: int


def longest_start(
    text: str, ends: Sequence[int], count: Callable[[str], int], room: int, same: Callable[[str], bool] = bool
) -> Start | None:
    """The longest start of `text` that ends at one of `ends` (rising) and has at most `room` tokens.

    None where there is none, and where the whole text has no more than that.
    count: the tokens of a start. same: whether its tokens are those that the whole text begins with: a cut within a
    word may join its pieces in another way, and then the text ends a few tokens earlier.
    """
    if count(text) <= room:
        return None
    places = [end for end in ends if end < len(text) and not unicodedata.combining(text[end])]
    low, high = 0, min(len(places), room)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[: places[middle - 1]]) <= room else (low, middle - 1)
    if not low:
        return None
    found = next((end for end in places[max(0, low - _BACK) : low][::-1] if same(text[:end])), places[low - 1])
    return Start(text[:found], count(text[:found]))
