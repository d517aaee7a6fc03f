"""How well a record checks against what the model really did, measured and never assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.record import AttentionRecord

TOLERANCE = 1e-4
_BLOCK = 512


@dataclass(frozen=True)
class Fidelity:
    """Largest absolute differences, in the unit of the activations.

    sites: per sub-layer, softmax(q kᵀ · scale + mask) · v · W_O, computed in float64 from the record, against the
    module's own output. logits_error: the recorded run against a plain run of the same model (None without logits).
    """

    sites: dict[str, float] = field(default_factory=dict)
    logits_error: float | None = None

    @property
    def max_error(self) -> float:
        """NaN where any figure is, or where nothing was measured: neither may pass for a good figure."""
        figures = list(self.sites.values())
        return max(figures) if figures and not any(map(math.isnan, figures)) else math.nan

    @property
    def holds(self) -> bool:
        """Whether every figure is as near as 32-bit arithmetic allows (below `TOLERANCE`); NaN does not hold."""
        return self.max_error <= TOLERANCE and (self.logits_error is None or self.logits_error <= TOLERANCE)


def implied_output(record: AttentionRecord, W_O: Tensor, b_O: Tensor | None, rows: slice = slice(None)) -> Tensor:
    """What the record says the sub-layer put out for `rows`: float64 [rows, d]. W_O is [h · d_v, d]."""
    heads = [record.mixed(head, rows, torch.float64) for head in range(record.heads)]
    output = torch.cat(heads, dim=-1) @ W_O.double()
    return output if b_O is None else output + b_O.double()


def site_error(record: AttentionRecord, W_O: Tensor, b_O: Tensor | None) -> float:
    """max |implied − real| over the sub-layer, in blocks of rows so that no q × k tensor of all heads is held."""
    worst = 0.0
    for start in range(0, record.queries, _BLOCK):
        rows = slice(start, min(start + _BLOCK, record.queries))
        difference = (implied_output(record, W_O, b_O, rows) - record.output[rows].double()).abs().max().item()
        if math.isnan(difference):
            return difference  # a later block may not hide it
        worst = max(worst, difference)
    return worst
