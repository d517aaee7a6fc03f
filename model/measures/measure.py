"""`Measure`, the definition of one measure of a head: name, formula, range, and how it follows from the weights.

Heads are measured in one pass over blocks of their weights (`model.measures.one_pass`), and no measure holds a q × k
matrix. A measure hands the pass one small function; which one depends on what it needs, the cheapest first:

    KeyMass      which keys?               bool [k]     mean over the queries of Σ_j A_ij over these keys
    CellMass     which cells of a block?   bool [r, c]  the same over these cells; queries that may attend one count
    QueryMean    a number of each query    [h, r]       its mean over the queries
    CellMean     Σ_j A_ij x_ij of a query  [h, r]       Σ_ij A_ij x_ij / Σ_ij A_ij, the mean of x over all cells by weight
    BlockSums    sums of any other kind    [h]          what `BlockSum.result` makes of them when all blocks are seen
    RecordValue  of the record alone       [h]          without the weights

A query that may attend nothing is left out of every mean; a mean over no query is NaN. What the functions are given is in
`model.measures.weight_block`. Importing this, or the registry of all measures, does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from model.measures.weight_block import CellBlock, SubLayer, WeightBlock
    from model.trace.attention_record import AttentionRecord

SHARE = (0.0, 1.0)
LAST = 1000


class Need(Enum):
    """What a sub-layer must have for a measure to say anything of it; where it has not, the measure is None there."""

    ONE_SEQUENCE = "self-attention over one sequence: query i and key i are one token"
    TOKENS = "the id of each key's token"
    SPECIAL = "which keys are special tokens"
    PUNCTUATION = "which keys are punctuation"
    CONTEXT = "the recorded context A·V"


@dataclass(frozen=True)
class KeyMass:
    """keys(layer) -> bool [k]. All measures of this kind are one matrix product together."""

    keys: Callable[[SubLayer], Tensor]


@dataclass(frozen=True)
class CellMass:
    """cells(block) -> bool [r, c]; the mask is applied by the pass. Asked once a block, whatever the number of heads."""

    cells: Callable[[CellBlock], Tensor]


@dataclass(frozen=True)
class QueryMean:
    """value(block) -> [h, r]; the numbers of the single queries are kept too, as `HeadStatistics.rows`."""

    value: Callable[[WeightBlock], Tensor]


@dataclass(frozen=True)
class CellMean:
    """sums(block) -> Σ_j A_ij x_ij, [h, r]; finish: a function of the mean [h], such as a root."""

    sums: Callable[[WeightBlock], Tensor]
    finish: Callable[[Tensor], Tensor] = lambda mean: mean


@runtime_checkable
class BlockSum(Protocol):
    """Sums that grow block by block."""

    def count(self, block: CellBlock) -> None:
        """The cells of a block, before any weights."""

    def add(self, block: WeightBlock) -> None:
        """The weights of some heads in that block."""

    def result(self) -> Tensor:
        """The measure of each head, [h]."""


@dataclass(frozen=True)
class BlockSums:
    """start(heads, layer) -> a `BlockSum` at nothing, for so many heads."""

    start: Callable[[int, SubLayer], BlockSum]


@dataclass(frozen=True)
class RecordValue:
    """value(record) -> [h]."""

    value: Callable[[AttentionRecord], Tensor]


Compute = KeyMass | CellMass | QueryMean | CellMean | BlockSums | RecordValue


class Place(NamedTuple):
    """Where a measure stands on the screen, and among the columns of a run's table and of a profile.

    Files have had their columns in these orders since 0.3 and keep them; a measure that comes later stands after them.
    """

    screen: int = LAST
    table: int = LAST
    profile: int = LAST


AT_THE_END = Place()


@dataclass(frozen=True)
class Measure:
    """One number a head.

    name: in Python, on the command line and in links; column: in files and tables, where that is another.
    latex: its formula, with A the weights, s the scores (−∞ where masked), t the tokens, i a query, j a key.
    unit: "nats", "tokens" or "" (a share or a plain number). bounds: what it can be at least and at most.
    needs: without them it is None. role: whether a head that puts most of its attention there is named after it.
    drawn: whether the page Measures has a map of it. orderable: whether the Atlas orders heads by it.
    costly: made only when asked for; profiles, the Atlas and `python -m model heads` do not.
    """

    name: str
    latex: str
    compute: Compute
    unit: str = ""
    bounds: tuple[float, float] = (0.0, math.inf)
    needs: tuple[Need, ...] = ()
    role: bool = False
    drawn: bool = True
    orderable: bool = False
    costly: bool = False
    column: str = ""
    place: Place = AT_THE_END

    def __post_init__(self):
        object.__setattr__(self, "column", self.column or self.name)
        if self.role and not self.share:
            raise ValueError(f"{self.name} can give no head its name: it is no share of the attention")
        if self.costly and (self.role or self.orderable):
            raise ValueError(f"{self.name} is costly: it is not there when heads are named or ordered")

    @property
    def share(self) -> bool:
        """Whether it is drawn from 0 to 1."""
        return self.bounds == SHARE

    @property
    def signed(self) -> bool:
        """Whether it can be negative."""
        return self.bounds[0] < 0

    def applies(self, layer: SubLayer) -> bool:
        return all(need in layer.has for need in self.needs)


def mass_latex(keys: str) -> str:
    """The formula of a `CellMass` on the cells for which `keys` holds."""
    return (
        r"\frac{1}{|Q|} \sum_{i \in Q} \sum_{j \in K_i} A_{ij},\quad "
        rf"K_i = \{{j : {keys},\ s_{{ij}} > -\infty\}},\quad Q = \{{i : K_i \neq \varnothing\}}"
    )
