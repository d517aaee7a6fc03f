"""How much of a head's pattern the offset between query and key explains by itself, added up block by block.

A head that always looks one token back has the same weight along each diagonal; one that looks for words has not. With
a(o) the mean weight of the allowed cells at offset o = j − i, and ā the mean of all allowed cells,

    R² = Σ (a(j − i) − ā)² / Σ (A_ij − ā)²

is the share of the variance of A that its diagonals hold (the correlation ratio η² of A with the offset as its groups).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from model.measures.weight_block import CellBlock, WeightBlock


class Diagonals:
    """Sums over the cells of each offset: float64 [h, q + k − 1], the offset −(q − 1) first."""

    def __init__(self, heads: int, queries: int, keys: int):
        self.queries = queries
        self.sums = torch.zeros(heads, queries + keys - 1, dtype=torch.float64)
        self.squares = torch.zeros(heads, dtype=torch.float64)
        self.counts = torch.zeros(queries + keys - 1, dtype=torch.float64)

    def _places(self, block: CellBlock) -> slice:
        first = int(block.j[0]) - int(block.i[-1]) + self.queries - 1
        return slice(first, first + len(block.i) + len(block.j) - 1)

    def count(self, block: CellBlock) -> None:
        """The cells of a block that may be attended."""
        self.counts[self._places(block)] += along_diagonals(block.allowed[None].double())[0]

    def add(self, block: WeightBlock) -> None:
        """A block's weights of some heads, 0 where masked."""
        part = slice(block.heads.start, block.heads.stop)
        self.sums[part, self._places(block.cells)] += along_diagonals(block.weights).double()
        self.squares[part] += block.weights.square().sum((1, 2)).double()

    def result(self) -> Float[Tensor, " h"]:
        """R² of each head; NaN where its weights are alike, to the precision of their sums."""
        some = self.counts > 0
        sums, counts = self.sums[:, some], self.counts[some]
        common = sums.sum(1).square() / counts.sum()
        explained, total = (sums.square() / counts).sum(1) - common, self.squares - common
        return (explained / total).clamp(0, 1).masked_fill(total <= 1e-6 * self.squares, torch.nan)


def along_diagonals(weights: Float[Tensor, "g r c"]) -> Float[Tensor, "g o"]:
    """The sums along the r + c − 1 diagonals j − i, the one at the lower left first."""
    _, r, c = weights.shape
    # Rows that are one number longer than they are read again: each begins one place later than the one before.
    moved = functional.pad(weights.flip(1), (0, r)).flatten(1)[:, : r * (r + c - 1)]
    return moved.reshape(-1, r, r + c - 1).sum(1)
