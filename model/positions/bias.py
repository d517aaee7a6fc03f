"""Relative position biases as recorded: T5's buckets, ALiBi's slopes, Shaw's vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.checkpoints.record.position_tables import position_tables, table_weight, turns
from model.trace.attention_record import AttentionRecord
from model.trace.difference import max_difference
from model.trace.mask_and_bias import per_offset
from model.trace.rounding import allowed
from model.trace.trace import Trace


def bucket(offset: Tensor, buckets: int = 32, furthest: int = 128, both_ways: bool = True) -> Tensor:
    """The row of T5's table that an offset j − i reads, int64 (Raffel et al. 2020, section 2.1, and the code it names).

    Half of the buckets are one offset each, the others grow with its logarithm; beyond `furthest` all read the last.
    both_ways: an encoder's, where half of all buckets are for keys to the right; a decoder reads none of those.
    """
    side = buckets // 2 if both_ways else buckets
    distance = offset.abs() if both_ways else (-offset).clamp(min=0)
    exact = side // 2
    grown = (distance.clamp(min=1).double() / exact).log() / torch.tensor(furthest / exact, dtype=torch.float64).log()
    far = (exact + (grown * (side - exact) + 1e-9).floor().long()).clamp(max=side - 1)
    own = torch.where(distance < exact, distance, far)
    return own + (offset > 0) * side if both_ways else own


@dataclass(frozen=True, eq=False)
class Curves:
    """A bias that depends on the offset alone: offsets int64 [m], j − i, and values [h, m] added to the scores."""

    offsets: Tensor
    values: Tensor


def recorded_bias(record: AttentionRecord) -> Curves | None:
    """What a recorded sub-layer adds to its scores by offset, where the mask leaves any cell of it; None without one."""
    q, k = record.queries, record.keys
    name = f"{record.site}.bias_offsets"
    offsets = torch.arange(1 - q, k)
    if record.slopes is not None:
        values = -record.slopes[:, None] * offsets.abs().to(record.slopes)
    elif name in record.store:
        values = record.store[name]
    elif f"{record.site}.bias" in record.store:
        values = per_offset(record.store[f"{record.site}.bias"], record.allowed())
    else:
        values = None
    if values is None:
        return None
    every = torch.arange(k)[None] - torch.arange(q)[:, None]
    seen = torch.isin(offsets, every[record.allowed()])
    return Curves(offsets[seen], values[:, seen])


def slopes_of(curves: Curves) -> Tensor | None:
    """The slope of each head [h] where the bias falls by a fixed amount a step to the left (ALiBi), else None."""
    left = curves.offsets <= 0
    offsets, values = curves.offsets[left].double(), curves.values[:, left].double()
    if len(offsets) < 3:
        return None
    slopes = (values[:, -1] - values[:, 0]) / (offsets[-1] - offsets[0])
    straight = max_difference(slopes[:, None] * offsets, values) <= allowed(values, 2, curves.values.dtype)
    return slopes if straight and bool((slopes > 0).all()) else None


@dataclass(frozen=True, eq=False)
class Buckets:
    """A trained table of T5's kind, weights [buckets, h], and how far the recorded bias is from what it says and may be."""

    name: str
    weights: Tensor
    furthest: int
    both_ways: bool
    error: float
    limit: float


def bucket_table(module: nn.Module, curves: Curves, stack: str) -> Buckets | None:
    """The module's table whose buckets give the recorded bias, None where none does."""
    for path, part in module.named_modules():
        inner = getattr(part, "relative_attention_bias", None)
        if not isinstance(inner, nn.Embedding) or (stack not in path and "decoder" in path):
            continue
        weights = table_weight(inner)
        furthest = int(getattr(part, "relative_attention_max_distance", 128))
        for both_ways in (stack == "encoder", stack != "encoder"):
            rows = weights[bucket(curves.offsets, weights.shape[0], furthest, both_ways)]
            if rows.T.shape != curves.values.shape:
                continue
            error, limit = max_difference(rows.T, curves.values), allowed(curves.values, dtype=curves.values.dtype)
            if error <= limit:
                return Buckets(f"{path}.relative_attention_bias", weights, furthest, both_ways, error, limit)
    return None


def relative_share(record: AttentionRecord, head: int) -> Tensor:
    """What Shaw's vectors add to each score of a head: scale · q_i · a^K_(j − i), float64 [q, k] (Shaw et al. 2018, eq. 4)."""
    q, k = (record.head(name, head, torch.float64) for name in "qk")
    return (record.products(head, dtype=torch.float64) - q @ k.T) * record.scale


def kind_of(trace: Trace, module: nn.Module | None = None) -> str:
    """The position encoding of the run's model: "sinusoidal", "learned", "relative", "t5", "alibi", "rotary", "none" or "".

    "scores": terms of the content and the offset inside the scores, recorded as a dense bias (Transformer-XL, DeBERTa).
    """
    told = str(trace.facts.get("positions", ""))
    if told:
        return told
    if any(f"{site}.rotary" in trace.store for site in trace.sites):
        return "rotary"
    for site in trace.sites:
        curves = recorded_bias(trace.record(site)) if site.kind == "self" else None
        if curves is not None and bool(curves.values.any()):
            return "t5" if slopes_of(curves) is None else "alibi"
    if any(f"{site}.bias" in trace.store for site in trace.sites if site.kind == "self"):
        return "scores"
    if module is None:
        return ""
    if turns(module):
        return "rotary"
    tables = position_tables(module)
    return ("learned" if tables[0].trained else "sinusoidal") if tables else ""
