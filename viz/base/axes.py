"""What stands along the sides of a figure: every token, a window of a long input, its words, or blocks of it.

An item is a run of neighbouring tokens. Where an item holds several, a figure's cell is made of several weights:
for words the keys' are summed and the queries' averaged, so that rows still sum to 1; for blocks the strongest is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from viz.base import tokens

if TYPE_CHECKING:
    from model.trace.attention_record import AttentionRecord
    from model.trace.site import Site
    from model.trace.trace import Trace

# As many as a matrix shows with every cell its own; beyond, a window around the selection and a map of the whole.
WINDOW = 384
LINES = 96
BLOCKS = 128


@dataclass(frozen=True)
class Axis:
    """Items with the token each begins at; `stop` is one past the last token, `total` the tokens of the whole side.

    first: which item of the whole side the window begins with; figures tell each other hovered items by that count.
    """

    starts: tuple[int, ...]
    stop: int
    labels: tuple[tokens.Label, ...]
    total: int
    first: int = 0

    @property
    def span(self) -> slice:
        return slice(self.starts[0], self.stop)

    @property
    def whole(self) -> bool:
        """Whether the axis shows the side from its first token to its last."""
        return self.starts[0] == 0 and self.stop == self.total

    @property
    def single(self) -> bool:
        """Whether every item is one token."""
        return len(self.starts) == self.stop - self.starts[0]

    @property
    def breaks(self) -> list[int]:
        """The items with which another text of a pair begins."""
        segments = [label.get("segment") for label in self.labels]
        return [i for i in range(1, len(segments)) if segments[i] != segments[i - 1]]

    def item(self, token: int) -> int | None:
        """The item that holds `token`, None where it lies outside the window."""
        if not self.starts or not self.starts[0] <= token < self.stop:
            return None
        return int(np.searchsorted(self.starts, token, side="right")) - 1

    def tokens(self, item: int) -> slice:
        """The tokens of one item."""
        ends = (*self.starts[1:], self.stop)
        return slice(self.starts[item], ends[item])


Axes = tuple[Axis, Axis]


def _window(total: int, around: int, size: int) -> tuple[int, int]:
    if total <= size:
        return 0, total
    start = min(max(0, around - size // 2), total - size)
    return start, start + size


def token_axis(labels: list[tokens.Label], around: int = 0, size: int = WINDOW) -> Axis:
    """One item a token: all of them, or `size` of them around the token `around`."""
    start, stop = _window(len(labels), around, size)
    return Axis(tuple(range(start, stop)), stop, tuple(labels[start:stop]), len(labels), start)


def word_axis(labels: list[tokens.Label], words: tuple[int, ...], around: int = 0, size: int = WINDOW) -> Axis:
    """One item a word: neighbouring tokens of the same word together; special tokens (−1) stay alone."""
    texts = [label.get("segment") for label in labels]  # the words of a pair do not join across its two texts
    starts = [
        i for i, word in enumerate(words)
        if i == 0 or word == -1 or word != words[i - 1] or texts[i] != texts[i - 1]
    ]  # fmt: skip
    ends = [*starts[1:], len(words)]
    joined = [_join(labels[a:b]) for a, b in zip(starts, ends, strict=True)]
    here = int(np.searchsorted(starts, around, side="right")) - 1
    first, last = _window(len(starts), here, size)
    return Axis(tuple(starts[first:last]), ends[last - 1], tuple(joined[first:last]), len(words), first)


def _join(parts: list[tokens.Label]) -> tokens.Label:
    """The pieces of a word as one: a continuation's mark (##) goes, what a decoder wrote next is the last piece's."""
    texts = [part["text"] for part in parts]
    reads = [text.split(" ▸ ")[0] for text in texts]
    whole = reads[0] + "".join(text.removeprefix("##") for text in reads[1:])
    after = texts[-1].split(" ▸ ")[1:]
    return parts[0] | {"text": " ▸ ".join([whole, *after])}


def block_axis(total: int, most: int = BLOCKS) -> Axis:
    """At most `most` blocks of equally many tokens; the last may be shorter."""
    size = -(-total // most)
    starts = tuple(range(0, total, size))
    ends = (*starts[1:], total)
    names = (f"{a}–{b - 1}" if b - a > 1 else str(a) for a, b in zip(starts, ends, strict=True))
    labels = tuple({"text": name, "kind": "word"} for name in names)
    return Axis(starts, total, labels, total)


def axes(trace: Trace, site: Site, at: tuple[int, int], merge: bool = False, size: int = WINDOW) -> Axes:
    """(queries, keys) of a site as its figures show them: windows around the cell `at`, by word where `merge` says so."""
    found = []
    labels = (tokens.query_labels(trace, site), tokens.key_labels(trace, site))
    for side, names, around in zip((site.query_side, site.key_side), labels, at, strict=True):
        words = trace.side(side).words
        found.append(word_axis(names, words, around, size) if merge and words else token_axis(names, around, size))
    return found[0], found[1]


def map_axes(record: AttentionRecord) -> Axes:
    """(queries, keys) in blocks, for the map of a long head."""
    return block_axis(record.queries), block_axis(record.keys)


def mergeable(trace: Trace, site: Site) -> bool:
    """Whether any word of the site's sides is more than one token."""
    sides = [trace.side(side).words for side in (site.query_side, site.key_side)]
    return any(a == b != -1 for words in sides for a, b in pairwise(words))


def by_word(
    weights: np.ndarray, allowed: np.ndarray, axes: Axes, dtype: type = np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Keys summed, queries averaged: (weights, allowed) [items, items]; a word is masked where all its tokens are."""
    rows, columns = ([start - axis.starts[0] for start in axis.starts] for axis in axes)
    counts = np.diff([*rows, weights.shape[0]])
    summed = np.add.reduceat(np.add.reduceat(weights, columns, axis=1), rows, axis=0) / counts[:, None]
    open_ = np.logical_or.reduceat(np.logical_or.reduceat(allowed, columns, axis=1), rows, axis=0)
    return summed.astype(dtype), open_


def strongest(record: AttentionRecord, head: int, axes: Axes, cell: tuple[int, int]) -> tuple[int, int]:
    """The token pair with the largest weight among those behind one cell of a figure."""
    rows, columns = axes[0].tokens(cell[0]), axes[1].tokens(cell[1])
    weights = record.weights(head, rows, columns)
    i, j = divmod(int(weights.argmax()), weights.shape[1])
    return rows.start + i, columns.start + j
