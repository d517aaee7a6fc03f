"""How much of a head's pattern the offset between query and key explains by itself; see `model.measures.diagonals`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.measures.measure import SHARE, BlockSums, Measure, Need, Place

if TYPE_CHECKING:
    from model.measures.diagonals import Diagonals
    from model.measures.weight_block import SubLayer


def diagonals(heads: int, layer: SubLayer) -> Diagonals:
    from model.measures.diagonals import Diagonals

    return Diagonals(heads, layer.queries, layer.keys)


POSITIONAL_SHARE = Measure(
    "positional_share",
    r"R^2 = \frac{\sum_{ij} (a_{j-i} - \bar a)^2}{\sum_{ij} (A_{ij} - \bar a)^2}",
    BlockSums(diagonals),
    bounds=SHARE,
    needs=(Need.ONE_SEQUENCE,),
    costly=True,
    place=Place(screen=14, table=14),
)
