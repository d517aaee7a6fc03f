"""Two heads on the same tokens, and all heads of a run with each other: how their attention differs, in numbers.

Weights are made in blocks of rows and dropped: nothing here holds a q × k matrix of a long input. With a and b two rows of
attention over the same keys and m = (a + b) / 2, the Jensen–Shannon divergence

    JS(a, b) = ½ Σ_j a_j ln(a_j / m_j) + ½ Σ_j b_j ln(b_j / m_j)

lies between 0 (equal) and ln 2 (nothing in common) nats, and its square root is a distance (Endres & Schindelin 2003).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.attention.rows import whole_rows
from model.errors import HeadlightError, UnknownOption
from model.jobs.progress import tick
from model.trace.attention_record import CELLS, AttentionRecord
from model.trace.site import Site
from model.trace.trace import Trace

LN2 = math.log(2)
HOW = ("correlation", "divergence")


def jensen_shannon(a: Float[Tensor, "*#r k"], b: Float[Tensor, "*#r k"]) -> Float[Tensor, ...]:
    """Of rows with each other, nats. A row that attends nothing is unlike any but its like."""
    return _divergence(_x_ln_x(a), _x_ln_x(b), a, b)


def _x_ln_x(rows: Tensor) -> Tensor:
    """Σ x ln x of each row."""
    return torch.xlogy(rows, rows).sum(-1)


def _divergence(own_a: Tensor, own_b: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """JS of rows whose own Σ x ln x are known."""
    return (0.5 * (own_a + own_b) - _x_ln_x((a + b) / 2)).clamp(0, LN2)


def same_tokens(one: AttentionRecord, other: AttentionRecord) -> bool:
    """Whether cell (i, j) is about the same tokens in both."""
    sides = ((record.site.query_side, record.site.key_side, record.queries, record.keys) for record in (one, other))
    return len(set(sides)) == 1


@dataclass(frozen=True, eq=False)
class HeadDifference:
    """Of two heads: JS of each query in nats [q], its mean, and Pearson's r over the cells either may attend.

    r is NaN where one of the two is the same in all those cells. largest: the largest |b − a| and its (query, key).
    """

    rows: Float[Tensor, " q"]
    mean: float
    correlation: float
    largest: tuple[float, int, int]


@torch.no_grad()
def compared(one: AttentionRecord, head: int, other: AttentionRecord, other_head: int) -> HeadDifference:
    """The second head against the first, over all queries. Raises HeadlightError where they are about other tokens."""
    if not same_tokens(one, other):
        raise HeadlightError(
            reason=f"{one.site} and {other.site} are about other tokens: choose heads of the same sides."
        )
    rows, likeness, largest = [], PearsonSums(2), (0.0, 0, 0)
    pairs = zip(whole_rows(one, head), whole_rows(other, other_head), strict=True)
    for (span, a), (_, b) in pairs:
        tick("rows", span.start / one.queries)
        rows.append(jensen_shannon(a, b))
        likeness.add(torch.stack([a, b]), one.allowed(span) | other.allowed(span))
        apart = (b - a).abs()
        place = int(apart.argmax())
        if float(apart.flatten()[place]) > largest[0]:
            largest = (float(apart.flatten()[place]), span.start + place // one.keys, place % one.keys)
    every = torch.cat(rows)
    return HeadDifference(every, float(every.mean()), float(likeness.values(one.queries)[0, 1]), largest)


@dataclass(frozen=True, eq=False)
class PairwiseSimilarity:
    """Heads that are about the same tokens, each with each: float64 [n, n].

    how: "correlation", Pearson's r over the cells that any of them may attend (NaN of a head that is the same in all), or
    "divergence", the mean JS of their rows in nats.
    """

    heads: tuple[tuple[Site, int], ...]
    how: str
    values: Float[Tensor, "n n"]

    @property
    def distance(self) -> Float[Tensor, "n n"]:
        """0 (the same) to 1: √((1 − r) / 2), which is Euclidean; or √(JS / ln 2). A head without r counts as r = 0."""
        share = (1 - self.values.nan_to_num(0)) / 2 if self.how == "correlation" else self.values / LN2
        return share.clamp(0, 1).sqrt().fill_diagonal_(0)


@torch.no_grad()
def all_pairs(trace: Trace, how: str = "correlation") -> list[PairwiseSimilarity]:
    """Every head with every other one of the same tokens, one group a pair of sides; ticks "pairs", can be stopped.

    The rows of all heads of a group are made together, a block at a time: O(heads · block · k) numbers. r is one product
    a block, divergence heads² / 2 of them. Raises UnknownOption for another `how`.
    """
    if how not in HOW:
        raise UnknownOption(what="Likeness", got=how, allowed=", ".join(HOW))
    groups: dict[tuple[str, str, int, int], list[Site]] = {}
    for site, record in trace.attention.items():
        groups.setdefault((site.query_side, site.key_side, record.queries, record.keys), []).append(site)
    found, done = [], 0
    whole = sum(len(sites) for sites in groups.values())
    for (_, _, queries, keys), sites in groups.items():
        heads = [(site, head) for site in sites for head in range(trace.record(site).heads)]
        total = PearsonSums(len(heads)) if how == "correlation" else _Divergences(len(heads))
        step = max(1, CELLS // (keys * len(heads)))
        for start in range(0, queries, step):
            tick("pairs", (done + len(sites) * start / queries) / whole)
            rows = slice(start, min(start + step, queries))
            weights = torch.stack([trace.record(site).weights(head, rows, dtype=torch.float64) for site, head in heads])
            open_ = torch.stack([trace.record(site).allowed(rows) for site in sites]).any(0)
            total.add(weights, open_)
        found.append(PairwiseSimilarity(tuple(heads), how, total.values(queries)))
        done += len(sites)
    return found


class PearsonSums:
    """What Pearson's r of every pair is made of."""

    def __init__(self, n: int) -> None:
        self.products, self.sums, self.count = torch.zeros(n, n).double(), torch.zeros(n).double(), 0

    def add(self, weights: Float[Tensor, "n r k"], open_: Bool[Tensor, "r k"]) -> None:
        cells = weights[:, open_]
        self.products += cells @ cells.T
        self.sums += cells.sum(-1)
        self.count += cells.shape[1]

    def values(self, _queries: int) -> Float[Tensor, "n n"]:
        spread = self.products - self.sums[:, None] * self.sums / self.count
        own = spread.diagonal().clone()
        own[own <= 1e-9 * self.products.diagonal()] = torch.nan
        return (spread / (own[:, None] * own).sqrt()).clamp(-1, 1)


class _Divergences:
    """The sum of JS over the rows of every pair."""

    def __init__(self, n: int) -> None:
        self.total = torch.zeros(n, n).double()

    def add(self, weights: Float[Tensor, "n r k"], _open: Bool[Tensor, "r k"]) -> None:
        own = _x_ln_x(weights)
        for i in range(len(weights) - 1):
            self.total[i, i + 1 :] += _divergence(own[i], own[i + 1 :], weights[i], weights[i + 1 :]).sum(-1)

    def values(self, queries: int) -> Float[Tensor, "n n"]:
        return (self.total + self.total.T) / queries


def clustered(distance: Float[Tensor, "n n"]) -> tuple[list[int], list[tuple[int, int, float]]]:
    """(an order in which like stands by like, the merges) by average linkage (UPGMA, Sokal & Michener 1958).

    merges: (cluster, cluster, height), a cluster called by its first head; the pair of the lowest places goes first.
    """
    apart = distance.double().numpy().copy()
    np.fill_diagonal(apart, np.inf)
    members = [[i] for i in range(len(apart))]
    merges = []
    for _ in range(len(apart) - 1):
        i, j = sorted(divmod(int(apart.argmin()), len(apart)))
        merges.append((members[i][0], members[j][0], float(apart[i, j])))
        a, b = len(members[i]), len(members[j])
        row = (a * apart[i] + b * apart[j]) / (a + b)
        apart[i], apart[:, i] = row, row
        apart[i, i], apart[j], apart[:, j] = np.inf, np.inf, np.inf
        members[i] += members[j]
    return max(members, key=len, default=[]), merges


def classical_scaling(distance: Float[Tensor, "n n"]) -> tuple[Float[Tensor, "n 2"], float]:
    """(places in the plane, the share of the spread they keep) by classical scaling (Torgerson 1952) of a distance.

    The share is of the positive eigenvalues of −½ J D² J; 1 where the plane holds everything, or where all is one point.
    """
    n = len(distance)
    centred = torch.eye(n, dtype=torch.float64) - 1 / n
    values, vectors = torch.linalg.eigh(-0.5 * centred @ distance.double().square() @ centred)
    positive = values.clamp(min=0)
    top, at = positive.flip(0)[:2], vectors.flip(1)[:, :2]
    places = torch.zeros(n, 2, dtype=torch.float64)
    places[:, : len(top)] = at * top.sqrt()
    # An eigenvector's sign is arbitrary: the farthest head lies to the right, and above.
    signs = torch.stack([column[column.abs().argmax()].sign() for column in places.T])
    whole = float(positive.sum())
    return places * torch.where(signs == 0, 1, signs), float(top.sum()) / whole if whole > 0 else 1.0


@dataclass(frozen=True)
class Aligned:
    """Tokens of two texts that stand for each other: (place in the first, place in the second), and what has no counterpart."""

    pairs: tuple[tuple[int, int], ...]
    changed: tuple[tuple[int, int], ...]
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]


def aligned(first: Sequence[str], second: Sequence[str]) -> Aligned:
    """Equal tokens by the longest common subsequence; between them, runs of equal length stand for each other, changed.

    A run that has another length in the other text has no counterpart: none is guessed.
    """
    from difflib import SequenceMatcher

    pairs, changed, one, two = [], [], [], []
    for kind, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "equal":
            pairs += list(zip(range(a, b), range(c, d), strict=True))
        elif kind == "replace" and b - a == d - c:
            changed += list(zip(range(a, b), range(c, d), strict=True))
        else:
            one += range(a, b)
            two += range(c, d)
    return Aligned(tuple(pairs), tuple(changed), tuple(one), tuple(two))
