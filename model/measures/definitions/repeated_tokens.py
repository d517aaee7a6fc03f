"""Induction and duplicate-token attention: the token after an earlier copy of the query's own, and the copies themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.measures.measure import SHARE, CellMass, Measure, Need, Place, mass_latex

if TYPE_CHECKING:
    from torch import Tensor

    from model.measures.weight_block import CellBlock


def induction_cells(block: CellBlock) -> Tensor:
    """The keys whose token came right after an earlier one equal to the query's own.

    "Prefix matching" of Olsson et al. 2022, In-context Learning and Induction Heads.
    """
    return (block.query_tokens == block.tokens_before) & (block.j <= block.i[:, None])


def duplicate_token_cells(block: CellBlock) -> Tensor:
    """Other places of the query's own token (Wang et al. 2022, Interpretability in the Wild, section 3.2)."""
    return (block.query_tokens == block.key_tokens) & (block.j != block.i[:, None])


INDUCTION = Measure(
    "induction",
    mass_latex(r"j \le i,\ t_{j-1} = t_i"),
    CellMass(induction_cells),
    bounds=SHARE,
    needs=(Need.ONE_SEQUENCE, Need.TOKENS),
    role=True,
    orderable=True,
    place=Place(screen=12, table=11, profile=11),
)
DUPLICATE_TOKEN = Measure(
    "duplicate",
    mass_latex(r"j \ne i,\ t_j = t_i"),
    CellMass(duplicate_token_cells),
    bounds=SHARE,
    needs=(Need.ONE_SEQUENCE, Need.TOKENS),
    role=True,
    place=Place(screen=13, table=12, profile=12),
)
