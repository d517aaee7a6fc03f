"""Two heads over the tokens that two runs share: other texts, or the same text on another checkpoint.

Cell (i, j) of one stands for a cell of the other where both its tokens are aligned; what a row gives to tokens that the
other run does not have is counted, not compared. Weights are made in blocks of rows and dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from model.compare.heads import Aligned, PearsonSums, aligned, jensen_shannon
from model.errors import HeadlightError
from model.jobs.progress import tick
from model.trace.attention_record import CELLS, AttentionRecord
from model.trace.trace import Trace

MOST = 12  # cells that changed most

Places = Sequence[tuple[int, int]]
Progress = tuple[str, float, float]  # what is told, where its fraction begins, and how much of the whole it is


def aligned_sides(first: Trace, second: Trace) -> dict[str, Aligned]:
    """Which tokens are the same, side by side, by what a person reads; a side that only one run has is left out."""
    found = {}
    for side in first.sides:
        if side not in second.sides:
            continue
        one, other = first.side(side).texts, second.side(side).texts
        same = Aligned(tuple((i, i) for i in range(len(one))), (), (), ())
        found[side] = same if one == other else aligned(one, other)
    return found


def split(pairs: Places) -> tuple[Tensor, Tensor]:
    """Pairs of places as two int64 tensors: those in the first run and those in the second."""
    first, second = zip(*pairs, strict=True)
    return torch.tensor(first), torch.tensor(second)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two heads over the aligned tokens: JS of each such query in nats [r], and its mean.

    correlation: Pearson's r over the cells that either may attend, NaN where one of the two is the same in all. changed: up
    to `MOST` cells of the largest |b − a|, largest first: places among the aligned (queries, keys), a and b. outside: the
    most that a row of either gives to tokens that the other run does not have.
    """

    rows: Float[Tensor, " r"]
    mean: float
    correlation: float
    changed: tuple[tuple[int, int, float, float], ...]
    outside: float

    @property
    def largest(self) -> tuple[float, int, int]:
        """The largest |b − a| and its place among the aligned (queries, keys)."""
        i, j, a, b = self.changed[0]
        return abs(b - a), i, j


@torch.no_grad()
def pair(
    one: AttentionRecord, head: int, other: AttentionRecord, other_head: int, queries: Places, keys: Places,
    progress: Progress = ("rows", 0.0, 1.0),
) -> Pair:  # fmt: skip
    """The second head against the first. queries, keys: aligned places. Raises HeadlightError where there are none."""
    if not queries or not keys:
        raise HeadlightError(reason=f"{one.site} and {other.site} have no token in common.")
    (rows, other_rows), (columns, other_columns) = split(queries), split(keys)
    apart, likeness, changed, outside = [], PearsonSums(2), [], 0.0
    step = max(1, CELLS // max(one.keys, other.keys))
    for start in range(0, len(rows), step):
        tick(progress[0], progress[1] + progress[2] * start / len(rows))
        here, there = rows[start : start + step], other_rows[start : start + step]
        whole = one.weights(head, here, dtype=torch.float64), other.weights(other_head, there, dtype=torch.float64)
        a, b = whole[0][:, columns], whole[1][:, other_columns]
        lost = (float((w.sum(-1) - kept.sum(-1)).max()) for w, kept in zip(whole, (a, b), strict=True))
        outside = max(outside, *lost)
        apart.append(jensen_shannon(a, b))
        likeness.add(torch.stack([a, b]), one.allowed(here)[:, columns] | other.allowed(there)[:, other_columns])
        changed = sorted([*changed, *_changed(a, b, start)], key=lambda cell: -abs(cell[3] - cell[2]))[:MOST]
    every = torch.cat(apart)
    return Pair(every, float(every.mean()), float(likeness.values(len(rows))[0, 1]), tuple(changed), outside)


def _changed(a: Float[Tensor, "r k"], b: Float[Tensor, "r k"], start: int) -> list[tuple[int, int, float, float]]:
    """The cells of a block of rows that differ most, with their weights; `start` is its first row's place."""
    size = (b - a).abs().flatten()
    cells = [divmod(int(place), a.shape[1]) for place in size.topk(min(MOST, len(size))).indices]
    return [(start + i, j, float(a[i, j]), float(b[i, j])) for i, j in cells]
