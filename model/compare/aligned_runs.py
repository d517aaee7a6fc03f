"""Two heads over the tokens that two runs share: other texts, or the same text on another checkpoint.

Cell (i, j) of one stands for a cell of the other where both its tokens are aligned. A key that one of two texts lacks is
given nothing there, so its weight counts as 0; a query that one lacks has no row to compare. Weights are made in blocks of
rows and dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.compare.heads import Aligned, PearsonSums, aligned, jensen_shannon
from model.errors import HeadlightError
from model.jobs.progress import tick
from model.trace.attention_record import CELLS, AttentionRecord
from model.trace.site import Site
from model.trace.trace import Trace

MOST = 12  # cells that changed most

Places = Sequence[tuple[int, int]]
Slots = Sequence[tuple[int | None, int | None]]  # places too, None in the run that lacks the token
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


def cut_apart(side: Aligned) -> Aligned:
    """Of one text that two tokenizers cut: tokens that differ are no counterparts, though they may stand at the same place."""
    firsts, seconds = zip(*side.changed, strict=True) if side.changed else ((), ())
    return replace(
        side, changed=(), only_first=tuple(sorted((*side.only_first, *firsts))),
        only_second=tuple(sorted((*side.only_second, *seconds))),
    )  # fmt: skip


def merged(side: Aligned) -> Slots:
    """Every token of both texts once, in reading order: what only one has stands where it is read there, the first's before the
    second's."""
    found: list[tuple[int | None, int | None]] = []
    both = sorted((*side.pairs, *side.changed))
    ends = (len(both) + len(side.only_first), len(both) + len(side.only_second))
    i = j = 0
    for a, b in (*both, ends):
        found += [(k, None) for k in range(i, a)] + [(None, k) for k in range(j, b)] + [(a, b)]
        i, j = a + 1, b + 1
    return tuple(found[:-1])


def split(pairs: Places) -> tuple[Tensor, Tensor]:
    """Pairs of places as two int64 tensors: those in the first run and those in the second."""
    first, second = zip(*pairs, strict=True)
    return torch.tensor(first), torch.tensor(second)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two heads over the tokens of two runs: JS of each query in nats [r], NaN of one that only one run has, and its mean.

    correlation: Pearson's r over the cells of both runs that either may attend, NaN where one of the two is the same in all.
    changed: up to `MOST` cells of the largest |b − a|, largest first: places among the (queries, keys), a and b, NaN in the
    run that lacks the key. outside: the most that a row of either gives to tokens that the other run does not have.
    """

    rows: Float[Tensor, " r"]
    mean: float
    correlation: float
    changed: tuple[tuple[int, int, float, float], ...]
    outside: float

    @property
    def largest(self) -> tuple[float, int, int]:
        """The largest |b − a| and its place among the (queries, keys)."""
        i, j, a, b = self.changed[0]
        return size(a, b), i, j


def size(a: float, b: float) -> float:
    """|b − a| of two weights, one of which may be NaN, that of a key which its text lacks."""
    return abs((0.0 if math.isnan(b) else b) - (0.0 if math.isnan(a) else a))


@torch.no_grad()
def pair(
    one: AttentionRecord, head: int, other: AttentionRecord, other_head: int, queries: Slots, keys: Slots,
    progress: Progress = ("rows", 0.0, 1.0),
) -> Pair:  # fmt: skip
    """The second head against the first. queries, keys: aligned places. Raises HeadlightError where the runs share none."""
    (rows, has_row), (other_rows, other_has_row) = (_places(queries, which) for which in (0, 1))
    (columns, has), (other_columns, other_has) = (_places(keys, which) for which in (0, 1))
    shared, both = (has_row & other_has_row).nonzero().flatten(), has & other_has
    if not len(shared) or not bool(both.any()):
        raise HeadlightError(reason=f"{one.site} and {other.site} have no token in common.")
    every, likeness, changed, outside = torch.full((len(queries),), torch.nan).double(), PearsonSums(2), [], 0.0
    for places in shared.split(max(1, CELLS // max(one.keys, other.keys))):
        tick(progress[0], progress[1] + progress[2] * int(places[0]) / len(queries))
        here, there = rows[places], other_rows[places]
        whole = one.weights(head, here, dtype=torch.float64), other.weights(other_head, there, dtype=torch.float64)
        a, b = whole[0][:, columns].masked_fill(~has, 0), whole[1][:, other_columns].masked_fill(~other_has, 0)
        lost = (float((w.sum(-1) - kept[:, both].sum(-1)).max()) for w, kept in zip(whole, (a, b), strict=True))
        outside = max(outside, *lost)
        every[places] = jensen_shannon(a, b)
        open_ = one.allowed(here)[:, columns[both]] | other.allowed(there)[:, other_columns[both]]
        likeness.add(torch.stack([a, b])[..., both], open_)
        a, b = a.masked_fill(~has, torch.nan), b.masked_fill(~other_has, torch.nan)
        changed = sorted([*changed, *_changed(a, b, places)], key=lambda cell: -size(*cell[2:]))[:MOST]
    r = float(likeness.values(len(shared))[0, 1])
    return Pair(every, float(every[shared].mean()), r, tuple(changed), outside)


def spread(found: Pair, queries: Slots, keys: Slots, all_queries: Slots, all_keys: Slots) -> Pair:
    """What `pair` found of (queries, keys), told by their places among more of them, whose rows are NaN."""
    rows = torch.full((len(all_queries),), torch.nan).double()
    down, across = ([every.index(slot) for slot in few] for few, every in ((queries, all_queries), (keys, all_keys)))
    rows[torch.tensor(down)] = found.rows
    return replace(found, rows=rows, changed=tuple((down[i], across[j], a, b) for i, j, a, b in found.changed))


def _places(slots: Slots, which: int) -> tuple[Int[Tensor, " n"], Bool[Tensor, " n"]]:
    """Places in the first or the second run, and whether it has the token; where it has not, the place is 0."""
    told = [slot[which] for slot in slots]
    has = torch.tensor([place is not None for place in told], dtype=torch.bool)
    return torch.tensor([place or 0 for place in told], dtype=torch.int64), has


def _changed(a: Float[Tensor, "r k"], b: Float[Tensor, "r k"], rows: Tensor) -> list[tuple[int, int, float, float]]:
    """The cells of a block of rows that differ most, with their weights. rows: their places among the queries."""
    apart = (b.nan_to_num(0) - a.nan_to_num(0)).abs().flatten()
    cells = [divmod(int(place), a.shape[1]) for place in apart.topk(min(MOST, len(apart))).indices]
    return [(int(rows[i]), j, float(a[i, j]), float(b[i, j])) for i, j in cells]


@dataclass(frozen=True, eq=False)
class HeadChange:
    """One head on two texts: the mean JS of the queries that both have, nats, and its cell that changed most, as in `Pair`."""

    site: Site
    head: int
    mean: float
    changed: tuple[int, int, float, float]


def ranked_changes(first: Trace, second: Trace, sides: Mapping[str, Aligned]) -> tuple[HeadChange, ...]:
    """Every head that both runs have and that reads tokens of both, by how much it changed, most first; ticks "rows".

    sides: `aligned_sides` of the two. O(heads · queries · keys), a block of rows of one head at a time.
    """
    slots = {side: merged(each) for side, each in sides.items()}
    sites = [
        site for site in first.sites if site in second.attention and {site.query_side, site.key_side} <= slots.keys()
    ]
    found = []
    for place, site in enumerate(sites):
        one, other = first.record(site), second.record(site)
        queries, keys = slots[site.query_side], slots[site.key_side]
        if not all(any(None not in slot for slot in each) for each in (queries, keys)):
            continue
        for head in range(min(one.heads, other.heads)):
            begun = (place + head / one.heads) / len(sites)
            told = pair(one, head, other, head, queries, keys, ("rows", begun, 1 / (one.heads * len(sites))))
            found.append(HeadChange(site, head, told.mean, told.changed[0]))
    return tuple(sorted(found, key=lambda each: -each.mean))
