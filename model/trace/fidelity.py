"""How well a record checks against what the model really did, measured and never assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.trace.attention_record import AttentionRecord

# What 32-bit arithmetic leaves, relative to the largest number that the sub-layer put out (at least 1); half precision
# keeps 8 to 11 bits. A stream of a large model holds numbers in the thousands, and an error is one in their last digits.
TOLERANCE = 1e-4
_TOLERANCES = {torch.float16: 5e-3, torch.bfloat16: 4e-2}
# Up to here every row is checked; of a longer input this many, evenly spaced, because one row costs O(h · n · d).
ALL_ROWS = 256
SOME_ROWS = 64


@dataclass(frozen=True)
class Fidelity:
    """Largest absolute differences, in the unit of the activations.

    sites: per sub-layer, softmax(q kᵀ · scale + mask) · v · W_O, computed in float64 from the record, against the
    module's own output. logits_error: the recorded run against a plain run of the same model (None without logits).
    rows: how many query rows of each long sub-layer were checked, None where all were. limits: how large the difference
    may be at each sub-layer; `TOLERANCE` where it is not told.
    """

    sites: dict[str, float] = field(default_factory=dict)
    logits_error: float | None = None
    rows: int | None = None
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def max_error(self) -> float:
        """NaN where any figure is, or where nothing was measured: neither may pass for a good figure."""
        figures = list(self.sites.values())
        return max(figures) if figures and not any(map(math.isnan, figures)) else math.nan

    @property
    def holds(self) -> bool:
        """Whether every figure is as near as its arithmetic allows; NaN does not hold, nor does nothing measured."""
        logits = self.logits_error is None or self.logits_error <= max([TOLERANCE, *self.limits.values()])
        return bool(self.sites) and all(map(self.holds_at, self.sites)) and logits

    def holds_at(self, site: str) -> bool:
        """Whether one sub-layer's figure is within its limit; one that was not measured is not known to fail."""
        return site not in self.sites or self.sites[site] <= self.limits.get(site, TOLERANCE)


def limit(record: AttentionRecord) -> float:
    """How far the implied output of a sub-layer may lie from the real one."""
    output = record.output
    return _TOLERANCES.get(output.dtype, TOLERANCE) * max(1.0, output.abs().max().item())


def implied_output(
    record: AttentionRecord, W_O: Tensor, b_O: Tensor | None, rows: slice | Tensor = slice(None)
) -> Tensor:
    """What the record says the sub-layer put out for `rows`: float64 [rows, d]. W_O is [h · d_v, d]."""
    heads = [record.mixed(head, rows, torch.float64) for head in range(record.heads)]
    output = torch.cat(heads, dim=-1) @ W_O.double()
    return output if b_O is None else output + b_O.double()


def rows_checked(queries: int) -> slice | Tensor:
    """Every row of a short input; of a long one `SOME_ROWS`, evenly spaced, the first and the last among them."""
    if queries <= ALL_ROWS:
        return slice(None)
    return torch.linspace(0, queries - 1, SOME_ROWS).round().long()


def site_error(record: AttentionRecord, W_O: Tensor, b_O: Tensor | None) -> float:
    """max |implied − real| over the rows checked; NaN where any row of the real output is."""
    if bool(record.output.isnan().any()):
        return math.nan
    rows = rows_checked(record.queries)
    return (implied_output(record, W_O, b_O, rows) - record.output[rows].double()).abs().max().item()


def difference(got: Tensor, recorded: Tensor) -> float:
    """max |got − recorded|."""
    return (got - recorded.double()).abs().max().item()
