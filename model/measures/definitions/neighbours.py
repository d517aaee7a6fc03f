"""Attention by position alone: previous token, current token, next token, and all that are near."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from model.measures.measure import SHARE, CellMass, Measure, Need, Place, mass_latex

if TYPE_CHECKING:
    from torch import Tensor

    from model.measures.weight_block import CellBlock

NEAR = 4  # tokens


def cells_at(offset: int) -> Callable[[CellBlock], Tensor]:
    """The cells of the keys j = i + offset."""
    return lambda block: block.i[:, None] + offset == block.j


def near_cells(block: CellBlock) -> Tensor:
    """The cells of the keys at most `NEAR` tokens away, the query's own among them."""
    return (block.i[:, None] - block.j).abs() <= NEAR


LOCAL = Measure(
    "local",
    mass_latex(rf"|i - j| \le {NEAR}"),
    CellMass(near_cells),
    bounds=SHARE,
    needs=(Need.ONE_SEQUENCE,),
    costly=True,
    place=Place(screen=5, table=13),
)
PREVIOUS_TOKEN = Measure(
    "previous",
    mass_latex("j = i - 1"),
    CellMass(cells_at(-1)),
    bounds=SHARE,
    needs=(Need.ONE_SEQUENCE,),
    role=True,
    orderable=True,
    place=Place(screen=6, table=5, profile=5),
)
NEXT_TOKEN = Measure(
    "next",
    mass_latex("j = i + 1"),
    CellMass(cells_at(1)),
    bounds=SHARE,
    needs=(Need.ONE_SEQUENCE,),
    role=True,
    place=Place(screen=7, table=7, profile=7),
)
DIAGONAL = Measure(
    "diagonal",
    mass_latex("j = i"),
    CellMass(cells_at(0)),
    bounds=SHARE,
    needs=(Need.ONE_SEQUENCE,),
    role=True,
    place=Place(screen=8, table=6, profile=6),
)
