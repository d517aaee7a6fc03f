"""A pair of heads to compare: two ends, and the tokens that both have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.trace.site import Site
from viz.base import export, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.compare.aligned_runs import Places
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
    """Both ends and the places of aligned (queries, keys). name: of the figure. less: the difference's title."""

    name: str
    ends: tuple[HeadOfRun, HeadOfRun]
    queries: Places
    keys: Places
    less: str

    @property
    def key(self) -> tuple[object, ...]:
        return (*((end.trace.key, str(end.site), end.head) for end in self.ends), self.queries, self.keys)

    def names(self, which: int) -> tuple[list[str], list[str]]:
        """The (queries, keys) of the first or the second."""
        end = self.ends[which]
        queries, keys = (labels(end.trace, end.site) for labels in (tokens.query_labels, tokens.key_labels))
        return [queries[p[which]]["text"] for p in self.queries], [keys[p[which]]["text"] for p in self.keys]

    def both(self, placed: bool = False) -> tuple[list[str], list[str]]:
        """The same; a token that changed is called by both. placed: with the place, or both places where they differ."""
        found = []
        for first, second, pairs in zip(self.names(0), self.names(1), (self.queries, self.keys), strict=True):
            texts = [a if a == b else f"{a} → {b}" for a, b in zip(first, second, strict=True)]
            numbers_of = [f"{i} " if i == j else f"{i}→{j} " for i, j in pairs] if placed else [""] * len(pairs)
            found.append([number + text for number, text in zip(numbers_of, texts, strict=True)])
        return found[0], found[1]

    def labels(self, which: int, *parts: slice) -> list[list[Label]]:
        """Of some (queries, keys) as a matrix has them; with their places in the run where they are a part of it."""
        found = []
        for texts, pairs, part in zip(self.names(which), (self.queries, self.keys), parts, strict=True):
            whole = part.stop - part.start == len(pairs)
            items = zip(texts[part], pairs[part], strict=True)
            found.append([{"text": text if whole else f"{at[which]} {text}", "kind": "word"} for text, at in items])
        return found

    def weights(self, which: int, queries: slice = slice(None), keys: slice = slice(None)) -> np.ndarray:
        """float32 weights between aligned tokens, or between some of them."""
        import torch

        end = self.ends[which]
        rows, columns = ([pair[which] for pair in pairs] for pairs in (self.queries[queries], self.keys[keys]))
        return end.trace.record(end.site).weights(end.head, torch.tensor(rows))[:, columns].numpy()

    def rows(self, which: int, less: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """Every aligned query's weights in the first or the second, less those in the other, a part at a time."""
        for part in export.spans(len(self.queries), max(end.trace.record(end.site).keys for end in self.ends)):
            found = self.weights(which, part)
            yield part, found if less is None else found - self.weights(less, part)
