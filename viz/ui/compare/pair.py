"""A pair of heads to compare: two ends, and the tokens that they are compared over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.trace.site import Site
from viz.base import export, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model.compare.aligned_runs import Slots
    from model.trace.trace import Trace
    from viz.base.tokens import Label


@dataclass(frozen=True)
class HeadOfRun:
    """One of the two: a head of a run, and what it is called above its matrix."""

    trace: Trace
    site: Site
    head: int
    title: str


@dataclass(frozen=True)
class HeadPair:
    """Both ends and the places of their (queries, keys): aligned ones, and those that only one run has. name: of the figure.
    less: the difference's title. cut_apart: whether what one lacks is there in other pieces, so that it has no difference."""

    name: str
    ends: tuple[HeadOfRun, HeadOfRun]
    queries: Slots
    keys: Slots
    less: str
    cut_apart: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        return (*((end.trace.key, str(end.site), end.head) for end in self.ends), self.queries, self.keys)

    def names(self, which: int) -> tuple[list[str], list[str]]:
        """The (queries, keys) of the first or the second; what it lacks is called as in the other."""
        found = []
        for labels, slots in ((tokens.query_labels, self.queries), (tokens.key_labels, self.keys)):
            own, others = (labels(self.ends[w].trace, self.ends[w].site) for w in (which, 1 - which))
            found.append(
                [own[p[which]]["text"] if p[which] is not None else others[p[1 - which]]["text"] for p in slots]
            )
        return found[0], found[1]

    def both(self, placed: bool = False) -> tuple[list[str], list[str]]:
        """The same; a token that changed is called by both. placed: with the place, or both places where they differ."""
        found = []
        for first, second, pairs in zip(self.names(0), self.names(1), (self.queries, self.keys), strict=True):
            texts = [a if a == b else f"{a} → {b}" for a, b in zip(first, second, strict=True)]
            numbers_of = [_place(*pair) for pair in pairs] if placed else [""] * len(pairs)
            found.append([number + text for number, text in zip(numbers_of, texts, strict=True)])
        return found[0], found[1]

    def labels(self, which: int | None, *parts: slice) -> list[list[Label]]:
        """Of some (queries, keys) as a matrix of the first, the second or, None, their change has them; pale where it has no
        numbers of them, with their places in the run (the second's of a change) where they are a part of it."""
        run, found = 1 if which is None else which, []
        for axis, (texts, pairs, part) in enumerate(
            zip(self.names(run), (self.queries, self.keys), parts, strict=True)
        ):
            whole = part.stop - part.start == len(pairs)
            labels = []
            for text, pair in zip(texts[part], pairs[part], strict=True):
                lacks = None in pair and (axis == 0 or self.cut_apart) if which is None else pair[run] is None
                named = text if whole or pair[run] is None else f"{pair[run]} {text}"
                labels.append({"text": named, "kind": "absent" if lacks else "word"})
            found.append(labels)
        return found

    def weights(self, which: int, queries: slice = slice(None), keys: slice = slice(None)) -> np.ndarray:
        """float32 weights of all tokens, or of some of them; NaN where the run lacks one of the two."""
        import torch

        end = self.ends[which]
        rows, columns = ([pair[which] for pair in pairs] for pairs in (self.queries[queries], self.keys[keys]))
        found = np.full((len(rows), len(columns)), np.nan, np.float32)
        (down, places), (across, keys_of) = (_known(told) for told in (rows, columns))
        if places:
            weights = end.trace.record(end.site).weights(end.head, torch.tensor(places))
            found[np.ix_(down, across)] = weights[:, keys_of].numpy()
        return found

    def present(self, which: int, queries: slice = slice(None), keys: slice = slice(None)) -> np.ndarray:
        """bool [queries, keys]: whether the run has both tokens."""
        rows, columns = (np.array([pair[which] is not None for pair in pairs])
                         for pairs in (self.queries[queries], self.keys[keys]))  # fmt: skip
        return rows[:, None] & columns

    def allowed(self, which: int, queries: slice = slice(None), keys: slice = slice(None)) -> np.ndarray:
        """bool [queries, keys]: whether the run has both tokens and its mask leaves the cell open."""
        import torch

        end = self.ends[which]
        (down, places), (across, keys_of) = (_known([pair[which] for pair in pairs])
                                             for pairs in (self.queries[queries], self.keys[keys]))  # fmt: skip
        found = self.present(which, queries, keys)
        if places:
            found[np.ix_(down, across)] = end.trace.record(end.site).allowed(torch.tensor(places))[:, keys_of].numpy()
        return found

    def change(self, queries: slice = slice(None), keys: slice = slice(None)) -> np.ndarray:
        """The second's weights less the first's; a key that one lacks counts as 0 there, of a query that one lacks it is NaN,
        and so it is of a key where the tokens are `cut_apart`."""
        first, second = (
            np.where(self.present(which, queries, keys), self.weights(which, queries, keys), np.float32(0))
            for which in (0, 1)
        )
        return np.where(self.shared(queries, keys), second - first, np.float32(np.nan))

    def shared(self, queries: slice = slice(None), keys: slice = slice(None)) -> np.ndarray:
        """bool [queries, keys]: whether there is a difference."""
        rows, columns = (np.array([None not in pair for pair in pairs], bool)
                         for pairs in (self.queries[queries], self.keys[keys]))  # fmt: skip
        return rows[:, None] & (columns if self.cut_apart else np.ones_like(columns))

    def rows(self, which: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """Every query's weights in the first or the second, or their `change`, a part at a time."""
        for part in export.spans(len(self.queries), max(end.trace.record(end.site).keys for end in self.ends)):
            yield part, self.change(part) if which is None else self.weights(which, part)


def _known(places: Sequence[int | None]) -> tuple[list[int], list[int]]:
    """(which of these have a place, the places)."""
    found = [(i, place) for i, place in enumerate(places) if place is not None]
    return [i for i, _ in found], [place for _, place in found]


def _place(first: int | None, second: int | None) -> str:
    """ "3 ", "3→4 ", or "–→4 " of what the first lacks."""
    told = ["–" if place is None else str(place) for place in (first, second)]
    return f"{told[0]} " if first == second else f"{'→'.join(told)} "
