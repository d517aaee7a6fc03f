"""The arithmetic of one weight of a head, at any length: from q · k to the softmax, in float64."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import torch

from model.trace.attention_record import AttentionRecord
from model.transformer.attention import softmax


@dataclass(frozen=True)
class AttentionWeight:
    """What becomes of q_i · k_j (Vaswani et al. 2017, section 3.2.1), nats where it is a score.

    product: q_i · k_j (with relative positions q_i · (k_j + a)). scale: what it is multiplied by. score: with what the head adds
    (bias, ALiBi) or bends (soft cap), −∞ where masked. log_sum: log Σ_j' e^score of the row, a sink among them. weight:
    e^(score − log_sum), 0 where masked.
    """

    product: float
    scale: float
    score: float
    log_sum: float
    weight: float

    @property
    def added(self) -> float:
        """What stands between the scaled product and the score."""
        return self.score - self.product * self.scale

    def numbers(self) -> np.ndarray:
        """float64 [5], in the order of the fields."""
        return np.array(astuple(self), dtype=np.float64)


def attention_weight(record: AttentionRecord, head: int, i: int, j: int) -> AttentionWeight:
    """Query `i` and key `j`: O(k · d), no q × k tensor. Raises OutOfRange."""
    head, i, j = record.check_head(head), record.check_query(i), record.check_key(j)
    row, column = slice(i, i + 1), slice(j, j + 1)
    scores = record.scores(head, row, dtype=torch.float64)
    weights, log_sum = softmax(scores, record.sink(head, torch.float64))
    product = record.products(head, row, column, torch.float64)
    return AttentionWeight(
        float(product[0, 0]), record.scale, float(scores[0, j]), float(log_sum[0]), float(weights[0, j])
    )  # fmt: skip
