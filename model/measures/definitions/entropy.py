"""Entropy of the attention distribution of each query, and its largest weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.measures.measure import SHARE, Measure, Place, QueryMean

if TYPE_CHECKING:
    from torch import Tensor

    from model.measures.weight_block import WeightBlock


def entropy_of_rows(block: WeightBlock) -> Tensor:
    """−Σ_j A_ij ln A_ij = ln Z_i · Σ_j A_ij − Σ_j A_ij (s_ij − m_i), nats: [h, r]."""
    return block.total.log() * block.mass - (block.scores * block.weights).sum(-1)


def largest_of_rows(block: WeightBlock) -> Tensor:
    """max_j A_ij: [h, r]."""
    return (block.top.exp() / block.total).masked_fill(~block.attends, 0)


ENTROPY = Measure(
    "entropy",
    r"H = \frac{1}{q} \sum_i \Big(-\sum_j A_{ij} \ln A_{ij}\Big)",
    QueryMean(entropy_of_rows),
    unit="nats",
    orderable=True,
    place=Place(screen=1, table=1, profile=1),
)
LARGEST = Measure(
    "largest",
    r"\frac{1}{q} \sum_i \max_j A_{ij}",
    QueryMean(largest_of_rows),
    bounds=SHARE,
    orderable=True,
    place=Place(screen=2, table=4, profile=2),
)
