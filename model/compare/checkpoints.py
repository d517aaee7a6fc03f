"""The heads of two checkpoints on the same input: which head of the second does what a head of the first does.

Fine-tuning may leave a head where it was, another training run may put its work into another head, and some heads have no
like at all. Two heads are counterparts when each is the other's most alike by Pearson's r over the cells that both runs
have, and r is at least `LEAST`; everything else is said to have none. Weights are made in blocks of rows and dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from model.compare.aligned_runs import Places, aligned_sides, pair, split
from model.compare.heads import Aligned, PearsonSums
from model.jobs.progress import tick
from model.trace.site import Site
from model.trace.trace import Trace

LEAST = 0.5  # below it less than a quarter of the spread of the weights is shared
_TIE = 1e-9  # r that differs by less is the same: the head of the same place is preferred
_CELLS = 2**23  # weights that are held at once: 64 MiB, so that a block is many rows of many heads

Head = tuple[Site, int]


@dataclass(frozen=True)
class Counterpart:
    """One head of the first run and what the second has for it.

    other: the counterpart, None where `why` says why not: "weak" (no head reaches `LEAST`), "taken" (the most alike one is
    more like another head of the first), "same" (this head, or all it is compared with, weighs every cell alike: r is not
    defined), "kind" (the second run has no such attention) or "tokens" (no token in common). nearest: the most alike head
    of the second and `r` with it. divergence: mean JS with `other`, nats. place_r, place_divergence: with the head of the
    same layer and number. NaN is what there is not.
    """

    site: Site
    head: int
    other: Head | None
    why: str
    nearest: Head | None
    r: float
    divergence: float
    place_r: float
    place_divergence: float

    @property
    def moved(self) -> bool:
        """Whether the counterpart has another layer or number."""
        return self.other is not None and (str(self.other[0]), self.other[1]) != (str(self.site), self.head)


@dataclass(frozen=True, eq=False)
class Counterparts:
    """heads: every head of the first run. alone: the heads of the second that are nobody's counterpart. same_shape: whether
    both have the same sub-layers with as many heads. r: (stack, kind) -> Pearson's r [n, m] of all heads of that kind,
    in the order of the two tuples of heads."""

    heads: tuple[Counterpart, ...]
    alone: tuple[Head, ...]
    same_shape: bool
    r: Mapping[tuple[str, str], tuple[tuple[Head, ...], tuple[Head, ...], Float[Tensor, "n m"]]]

    @property
    def by_change(self) -> tuple[Counterpart, ...]:
        """The heads, most changed first: by r with the head in the same place, or with the most alike one where there are no
        same places; those without an r last."""

        def likeness(row: Counterpart) -> float:
            r = row.place_r if self.same_shape else row.r
            return math.inf if math.isnan(r) else r

        return tuple(sorted(self.heads, key=likeness))

    def of(self, site: Site | str, head: int) -> Counterpart:
        return next(row for row in self.heads if (str(row.site), row.head) == (str(site), head))


def shape(trace: Trace) -> dict[str, int]:
    """Sub-layer -> its number of heads."""
    return {str(site): record.heads for site, record in trace.attention.items()}


@torch.no_grad()
def counterparts(first: Trace, second: Trace, sides: Mapping[str, Aligned] | None = None) -> Counterparts:
    """Every head of the first run with its counterpart among the heads of the same kind of the second, or with none.

    sides: `aligned_sides`; only tokens that are equal in both are compared. r of all pairs of a kind is one product a block
    of rows, O((heads + heads') · block · keys) numbers are held; ticks "pairs", can be stopped.
    """
    sides = aligned_sides(first, second) if sides is None else sides
    mine, theirs = (_kinds(trace) for trace in (first, second))
    rows: list[Counterpart] = []
    alone: list[Head] = []
    tables = {}
    for place, (kind, heads) in enumerate(mine.items()):
        others = theirs.get(kind, ())
        site = heads[0][0]
        queries, keys = (sides[side].pairs if side in sides else () for side in (site.query_side, site.key_side))
        if not others or not queries or not keys:
            why = "kind" if not others else "tokens"
            nan = float("nan")
            rows += [Counterpart(*each, None, why, None, nan, nan, nan, nan) for each in heads]
            alone += others
            continue
        # Half of the work is all pairs, half the divergence of those that are shown.
        part, after = ((place + half) / len(mine) for half in (0, 0.5))
        r = _correlations(first, second, heads, others, queries, keys, (part, 0.5 / len(mine)))
        tables[kind] = (heads, others, r)
        found, left = _matched(first, second, heads, others, r, (queries, keys), (after, 0.5 / len(mine)))
        rows, alone = rows + found, alone + left
    alone += [each for kind, heads in theirs.items() if kind not in mine for each in heads]
    return Counterparts(tuple(rows), tuple(alone), shape(first) == shape(second), tables)


def _kinds(trace: Trace) -> dict[tuple[str, str], tuple[Head, ...]]:
    found: dict[tuple[str, str], list[Head]] = {}
    for site, record in trace.attention.items():
        found.setdefault((site.stack, site.kind), []).extend((site, head) for head in range(record.heads))
    return {kind: tuple(heads) for kind, heads in found.items()}


def _cells(trace: Trace, heads: Sequence[Head], rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """(float64 weights [heads, rows, columns], whether any of the heads may look there [rows, columns])."""
    weights = [trace.record(site).weights(head, rows, dtype=torch.float64)[:, columns] for site, head in heads]
    sites = dict.fromkeys(site for site, _ in heads)
    return torch.stack(weights), torch.stack([trace.record(site).allowed(rows)[:, columns] for site in sites]).any(0)


def _correlations(
    first: Trace, second: Trace, mine: Sequence[Head], theirs: Sequence[Head], queries: Places, keys: Places,
    part: tuple[float, float],
) -> Float[Tensor, "n m"]:  # fmt: skip
    """Pearson's r over the cells that any of these heads may attend; NaN where one of the two is the same in all."""
    n, m = len(mine), len(theirs)
    (rows, other_rows), (columns, other_columns) = split(queries), split(keys)
    total = PearsonSums(n + m)
    step = max(1, _CELLS // ((n + m) * max(first.record(mine[0][0]).keys, second.record(theirs[0][0]).keys)))
    for start in range(0, len(rows), step):
        tick("pairs", part[0] + part[1] * start / len(rows))
        here = slice(start, start + step)
        a, open_ = _cells(first, mine, rows[here], columns)
        b, also = _cells(second, theirs, other_rows[here], other_columns)
        total.add(torch.cat([a, b]), open_ | also)
    return total.values(len(rows))[:n, n:]


def _matched(
    first: Trace, second: Trace, mine: Sequence[Head], theirs: Sequence[Head], r: Float[Tensor, "n m"],
    cells: tuple[Places, Places], part: tuple[float, float],
) -> tuple[list[Counterpart], list[Head]]:  # fmt: skip
    """Mutual nearest neighbours from `LEAST` on, one to one; and the heads of the second that are nobody's."""
    names = {(str(site), head): j for j, (site, head) in enumerate(theirs)}
    place = [names.get((str(site), head)) for site, head in mine]
    best = _nearest(r, place)
    back = {str(j): i for i, j in enumerate(place) if j is not None}
    returned = _nearest(r.T, [back.get(str(j)) for j in range(len(theirs))])
    rows, taken = [], set()
    for i, (site, head) in enumerate(mine):
        j = best[i]
        mutual = j is not None and returned[j] == i
        value = float("nan") if j is None else float(r[i, j])
        why = "same" if j is None else "weak" if value < LEAST else "" if mutual else "taken"
        if not why:
            taken.add(j)
        asked = {k for k in (j if not why else None, place[i]) if k is not None}
        told = ("pairs", part[0] + part[1] * i / len(mine), 0.0)
        apart = {k: pair(first.record(site), head, second.record(theirs[k][0]), theirs[k][1], *cells, told).mean
                 for k in asked}  # fmt: skip
        nan = float("nan")
        rows.append(Counterpart(
            site, head, None if why else theirs[j], why, None if j is None else theirs[j], value,
            nan if why else apart[j], nan if place[i] is None else float(r[i, place[i]]), apart.get(place[i], nan),
        ))  # fmt: skip
    return rows, [each for j, each in enumerate(theirs) if j not in taken]


def _nearest(r: Float[Tensor, "n m"], place: Sequence[int | None]) -> list[int | None]:
    """The most alike column of each row, that of its own place where it is no less alike than the best; None without any."""
    found: list[int | None] = []
    for row, own in zip(r.nan_to_num(-2), place, strict=True):
        j = int(row.argmax())
        if own is not None and row[own] >= row[j] - _TIE:
            j = own
        found.append(j if row[j] > -2 else None)
    return found
