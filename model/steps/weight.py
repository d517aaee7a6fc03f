"""The arithmetic of one weight of a head, at any length: from q · k to the softmax, in float64."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np
import torch

from model.steps.step import WeightDerivation
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.trace import Trace
from model.transformer.attention import softmax
from model.transformer.positions import offsets


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
    weights, log_sum = softmax(scores, record.sink(head, torch.float64, row))
    product = record.products(head, row, column, torch.float64)
    return AttentionWeight(
        float(product[0, 0]), record.scale, float(scores[0, j]), float(log_sum[0]), float(weights[0, j])
    )  # fmt: skip


def weight_derivation(trace: Trace, site: Site | str, head: int, row: int, column: int) -> WeightDerivation:
    """The weight of (row, column), written out from the recorded q and k in float64."""
    record = trace.record(site)
    head, row, column = record.check_head(head), record.check_query(row), record.check_key(column)
    rows, columns = slice(row, row + 1), slice(column, column + 1)
    q, k = record.head("q", head, torch.float64)[row], record.head("k", head, torch.float64)[column]
    if record.distance is not None:  # Shaw's key is k + a^K, and the terms must sum to the product
        at = offsets(record.queries, record.keys, record.distance, rows)[0, column]
        k = k + record.store[f"{record.site}.relative_keys"][at].double()
    found = attention_weight(record, head, row, column)
    scores = record.scores(head, rows, dtype=torch.float64)[0]
    sink = record.sink(head, torch.float64, rows)
    reached = [s for s in (*scores.tolist(), *([sink.item()] if sink is not None else [])) if s != -math.inf]
    top = max(reached, default=0.0)
    slope = 0.0 if record.slopes is None else -float(record.slopes[head]) * abs(row - column)
    scaled = found.product * record.scale + slope
    capped = None if record.softcap is None else record.softcap * math.tanh(scaled / record.softcap)
    bias = record.bias(head, rows, columns)
    added = 0.0 if bias is None else float(bias[0, 0])
    return WeightDerivation(
        terms=tuple(zip(q.tolist(), k.tolist(), strict=True)),
        product=found.product,
        scale=record.scale,
        bias=slope,
        score=(scaled if capped is None else capped) + added,
        allowed=bool(record.allowed(rows)[0, column]),
        row_scores=tuple(scores.tolist()),
        row_sum=math.fsum(math.exp(s - top) for s in reached),
        row_max=top,
        weight=found.weight,
        scaled=scaled,
        capped=capped,
        added=added,
        sink=None if sink is None else sink.item(),
    )
