"""Minimal pairs: two texts of equal length that differ in one word, chosen by the tokens that a model makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from model.checkpoints.annalog import Annalog
from model.checkpoints.library.library_model import HuggingFaceModel
from model.checkpoints.own import OwnModel
from model.checkpoints.tokens.token_texts import unknown
from model.errors import HeadlightError

Pair = tuple[str, str]
# What stands behind the changed word is all that a decoder's rows can show it in, so there it stands early.
_EARLY = ("The river bank was closed, so we went home.", "The city bank was closed, so we went home.")
_LATE = (
    "The animal didn't cross the street because it was too tired.",
    "The animal didn't cross the street because it was too wide.",
)
_OTHERS = (("November 22, 2026", "November 23, 2026"), ("the cat sat on the mat", "the dog sat on the mat"))


def minimal_pair(model: Any, examples: Sequence[str], known: Pair | None = None) -> Pair | None:
    """A minimal pair: two texts of equally many tokens, some of which differ; None where the model reads none that is known.

    known: the pair of the model's own card, which comes first; then two of its examples that differ in one word.
    """
    readable = (
        pair for pair in _candidates(model, examples, known) if _same_length(*(ids(model, text) for text in pair))
    )
    return next(readable, None)


def changed(first: str, second: str) -> Pair | None:
    """The word in which two texts of equally many words differ, in each; None where that is not one word."""
    one, other = first.split(), second.split()
    apart = [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
    return apart[0] if len(one) == len(other) and len(apart) == 1 else None


def ids(model: Any, text: str) -> list[int] | None:
    """Token ids that `model` makes of a text; None where it refuses the text or does not know one of its words."""
    try:
        if isinstance(model, OwnModel):
            return list(model.read(text).ids)
        if isinstance(model, Annalog):
            return model.tokenizer.encode(text)
        if not isinstance(model, HuggingFaceModel) or model.reads != "text":
            return None
        found = model.encode(text).inputs["input_ids"][0].tolist()
    except HeadlightError:
        return None
    return None if unknown(model.tokenizer, found) else found


def _candidates(model: Any, examples: Sequence[str], known: Pair | None) -> Iterator[Pair]:
    if known:
        yield known
    yield from (pair for pair in combinations(examples, 2) if changed(*pair))
    yield from (_EARLY, _LATE) if getattr(model, "task", "") == "causal" else (_LATE, _EARLY)
    yield from _OTHERS


def _same_length(first: list[int] | None, second: list[int] | None) -> bool:
    return first is not None and second is not None and len(first) == len(second) and first != second
