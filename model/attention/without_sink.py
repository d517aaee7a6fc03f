"""A head without its attention sink: the first token left out of the picture, and the share that it takes as a number.

Many heads rest on the first token where they have nothing to do (Xiao et al. 2023, "attention sinks"), and what they do
besides is too faint to be seen. Left out, its weight is not handed to anyone: the other weights stay what they are.

    A_ij, j > 0                     = exp(s_ij) / (exp(s_i0) + Σ_{j>0} exp(s_ij))      as the model has them
    A_ij / Σ_{j>0} A_ij             = exp(s_ij) / Σ_{j>0} exp(s_ij)                    "scaled": only where it is asked for
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from model.attention import rows as head_rows
from model.trace.attention_record import AttentionRecord, Mask
from model.trace.per_trace import PerTrace
from model.trace.trace import Trace
from model.transformer.masks import DenseMask, IntervalMask, RuleMask

SINK = 0  # the key that is left out

_traces: PerTrace[Trace] = PerTrace()
_shares: PerTrace[float] = PerTrace()


@dataclass(frozen=True, eq=False)
class RecordWithoutSink(AttentionRecord):
    """The record of a sub-layer whose key `SINK` is closed, every other weight as it was; what is made of records follows.

    opened: the mask as it was recorded. scaled: every row that has a key left is made to sum to 1.
    """

    opened: Mask | None = None
    scaled: bool = False

    @property
    def left_out(self) -> int:
        return SINK

    @property
    def plain(self) -> bool:
        return False  # a score that is no key's takes part in the softmax, or a key is masked

    def has(self, part: str) -> bool:
        return super().has(part) and not (part == "lse" and self.scaled)

    def sink(self, head: int, dtype: torch.dtype, rows: slice | Tensor = slice(None)) -> Tensor | None:
        """The score of the key that is left out, [rows, 1], with the model's own sink where it has one."""
        if self.scaled:
            return None
        own = super().sink(head, dtype, rows)
        score = AttentionRecord(**_facts(self) | {"mask": self.opened}).scores(head, rows, slice(SINK, SINK + 1), dtype)
        return score if own is None else torch.logaddexp(score, own)


def without_sink(trace: Trace, scaled: bool = False) -> Trace:
    """The run as pictures without the sink show it; always the same object. Its outputs are not to be checked."""

    def make() -> Trace:
        records = {site: _record(record, scaled) for site, record in trace.attention.items()}
        return replace(trace, attention=records, measured=trace.fidelity(), plain_logits=None)

    return _traces.get(trace, scaled, make)


def _record(record: AttentionRecord, scaled: bool) -> RecordWithoutSink:
    return RecordWithoutSink(**_facts(record) | {"mask": _closed(record)}, opened=record.mask, scaled=scaled)


def _facts(record: AttentionRecord) -> dict[str, Any]:
    """What any record is made of, by name."""
    return {field.name: getattr(record, field.name) for field in fields(AttentionRecord)}


def _closed(record: AttentionRecord) -> Mask:
    """The record's mask with the key `SINK` closed."""
    mask = record.mask
    if isinstance(mask, IntervalMask):
        first = mask.first.clamp(min=SINK + 1)
        return IntervalMask(first, torch.maximum(mask.last, first))
    if isinstance(mask, DenseMask):
        tile = mask.tile.clone()
        tile[:, SINK] = False
        return DenseMask(tile)
    keys = torch.ones(record.keys, dtype=torch.bool) if mask.keys is None else mask.keys.clone()
    keys[SINK] = False
    return RuleMask(mask.causal, keys)


def sink_shares(trace: Trace) -> list[float]:
    """`sink_share` of every head of a run, sub-layer by sub-layer."""
    return [sink_share(record, head) for record in trace.attention.values() for head in range(record.heads)]


def sink_share(record: AttentionRecord, head: int) -> float:
    """How much of its attention a head gives to the first token: (1/q) Σ_i A_i0, in float64; 0.08 is no sink, 0.9 is one."""
    return _shares.get(record, head, lambda: float(head_rows.column(record, head, SINK).mean()))
