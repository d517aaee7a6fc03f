"""Arguments of a measure's function: a sub-layer, a block of its cells, and the weights of some heads in that block.

Axes: h the heads at hand, r the rows (queries) and c the columns (keys) of the block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.attention.row_blocks import span
from model.measures.measure import Need
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site

_NOTHING = -1000.0  # exp of it is 0 in every precision, and 0 times it is 0, which 0 · −∞ is not


@dataclass(frozen=True, eq=False)
class SubLayer:
    """What is known before any weight is made. has: which needs of measures it meets.

    tokens: equal numbers for equal tokens. None where a side's tokens are not known. beside: which keys are none of the
    sequence (memory, a learned bias, a cache); None of most.
    """

    site: Site
    queries: int
    keys: int
    has: frozenset[Need]
    tokens: Int[Tensor, " k"] | None = None
    special: Bool[Tensor, " k"] | None = None
    punctuation: Bool[Tensor, " k"] | None = None
    beside: Bool[Tensor, " k"] | None = None

    @staticmethod
    def of(
        record: AttentionRecord,
        tokens: Sequence[int] | Tensor | None = None,
        special: Sequence[bool] | Tensor | None = None,
        punctuation: Sequence[bool] | Tensor | None = None,
        beside: Sequence[bool] | Tensor | None = None,
    ) -> SubLayer:
        """tokens: the id of each key; special, punctuation, beside: whether it is such a one. ValueError for another number."""
        for what, given in (
            ("token ids", tokens),
            ("special flags", special),
            ("punctuation flags", punctuation),
            ("flags of keys beside the sequence", beside),
        ):
            if given is not None and len(given) != record.keys:
                raise ValueError(f"{len(given)} {what} were given for {record.keys} keys: give one for each")
        met = {
            Need.ONE_SEQUENCE: record.site.kind == "self" and record.queries == record.keys,
            Need.TOKENS: tokens is not None,
            Need.SPECIAL: special is not None,
            Need.PUNCTUATION: punctuation is not None,
            Need.CONTEXT: f"{record.site}.context" in record.store,
        }
        codes = None if tokens is None else torch.unique(torch.as_tensor(tokens), return_inverse=True)[1].int()
        flags = [None if given is None else torch.as_tensor(given).bool() for given in (special, punctuation, beside)]
        has = frozenset(need for need, is_met in met.items() if is_met)
        return SubLayer(record.site, record.queries, record.keys, has, codes, *flags)

    @cached_property
    def j(self) -> Int[Tensor, " k"]:
        """The position of each key."""
        return torch.arange(self.keys)

    @property
    def first(self) -> Bool[Tensor, " k"]:
        """Which key is the first token."""
        if self.beside is None:
            return self.j == 0
        return ~self.beside & (torch.cumsum(~self.beside, 0) == 1)

    @cached_property
    def tokens_before(self) -> Int[Tensor, " k"]:
        """The token in front of each key; −1, which no token is, for the first."""
        return torch.cat([self.tokens.new_full((1,), -1), self.tokens[:-1]])


@dataclass(frozen=True, eq=False)
class CellBlock:
    """Some rows against the keys that any of them may attend.

    allowed: which cells the mask leaves. i, j: the positions of the rows and of the columns.
    """

    layer: SubLayer
    rows: slice
    columns: slice
    allowed: Bool[Tensor, "r c"]
    i: Int[Tensor, " r"]
    j: Int[Tensor, " c"]

    @staticmethod
    def of(record: AttentionRecord, layer: SubLayer, rows: slice) -> CellBlock:
        columns = span(record, rows)
        i = torch.arange(record.queries)[rows]
        return CellBlock(layer, rows, columns, record.allowed(rows, columns), i, layer.j[columns])

    @property
    def query_tokens(self) -> Int[Tensor, "r 1"]:
        """The token of each query; for measures that need one sequence and its tokens, as are the next two."""
        return self.layer.tokens[self.rows, None]

    @property
    def key_tokens(self) -> Int[Tensor, " c"]:
        return self.layer.tokens[self.columns]

    @property
    def tokens_before(self) -> Int[Tensor, " c"]:
        """The token in front of each key."""
        return self.layer.tokens_before[self.columns]


@dataclass(frozen=True, eq=False)
class WeightBlock:
    """The weights A of the heads `heads` in a block, and what their softmax leaves behind. With m_i the largest score of a
    row, a sink's counted:

    scores: s_ij − m_i, at least −1000, which is what masked cells have. total: Z_i = Σ_j exp(s_ij − m_i), a sink's term
    counted; 1 where nothing is attended. top: max_j s_ij − m_i, 0 unless a sink's score is larger.
    attends: whether the query may attend any key. mass: Σ_j A_ij, 1 less a sink's share.
    key_mass: one number for each `KeyMass`. moments: Σ_j A_ij (j − middle) and Σ_j A_ij (j − middle)².
    """

    cells: CellBlock
    heads: range
    weights: Float[Tensor, "h r c"]
    scores: Float[Tensor, "h r c"]
    total: Float[Tensor, "h r"]
    top: Float[Tensor, "h r"]
    attends: Bool[Tensor, "h r"]
    mass: Float[Tensor, "h r"]
    key_mass: Sequence[Float[Tensor, "h r"]]
    moments: tuple[Float[Tensor, "h r"], Float[Tensor, "h r"]]
    middle: Int[Tensor, ""]

    @staticmethod
    def of(
        cells: CellBlock,
        heads: range,
        scores: Float[Tensor, "h r c"],
        sinks: Float[Tensor, "h _ 1"] | None,
        keys: Sequence[Bool[Tensor, " k"]],
    ) -> WeightBlock:
        """The softmax of a block of scores (overwritten).

        sinks: a score of no key, of all rows or one a row. keys: which keys each `KeyMass` is about.
        """
        top = scores.amax(-1, keepdim=True)
        attends = top != -torch.inf
        high = top if sinks is None else torch.maximum(top, sinks)
        high = high.masked_fill(~attends, 0)
        weights = scores.sub_(high).exp()
        total = weights.sum(-1, keepdim=True)
        total = (total if sinks is None else total + (sinks - high).exp()).masked_fill(~attends, 1)
        weights /= total
        scores.clamp_(min=_NOTHING)
        # Around the middle of the block the squares stay small, so that a head that looks near loses no digits.
        middle = cells.i[len(cells.i) // 2]
        j = cells.j - middle
        asked = torch.stack([torch.ones_like(j), j, j * j, *(on[cells.columns] for on in keys)], -1).to(weights)
        mass, one, two, *key_mass = (weights @ asked).unbind(-1)
        return WeightBlock(
            cells, heads, weights, scores, total[..., 0], (top - high)[..., 0], attends[..., 0], mass, key_mass,
            (one, two), middle,
        )  # fmt: skip

    def offsets(self) -> Float[Tensor, "h r"]:
        """Σ_j A_ij (i − j), float64."""
        i = (self.cells.i - self.middle).double()
        return i * self.mass - self.moments[0]

    def squared_offsets(self) -> Float[Tensor, "h r"]:
        """Σ_j A_ij (i − j)², float64."""
        i = (self.cells.i - self.middle).double()
        return i * i * self.mass - 2 * i * self.moments[0] + self.moments[1]
