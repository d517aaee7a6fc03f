"""Blocks of keys whose contexts are merged by the sums of their scores' exponentials (flash decoding, ring attention)."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall, independent
from model.instrumentation.operators.in_parts.keys import cells, union_of_keys, with_keys
from model.trace.mask_and_bias import simplest_mask


def merge(calls: list[AttentionCall]) -> AttentionCall | None:
    """Calls of the same queries over blocks of the keys as one call: each context weighs as the sum of its block's e^scores.

    C = Σ_b e^(lse_b − lse) C_b with lse = log Σ_b e^lse_b (Dao et al. 2022, FlashAttention, section 3.1: equations of the
    decomposed softmax). None where the keys are not parts of one sequence, or a sum is not known.
    """
    keys = union_of_keys(calls) if are_blocks(calls) else None
    if keys is None or any("lse" not in call.parts or "sinks" in call.parts for call in calls):
        return None
    if len({call.v.shape[-1] for call in calls}) > 1:
        return None
    allowed, bias = cells(calls, keys, [slice(None)] * len(calls))
    read = [call.mask.allowed(*call.weights_shape[1:]).any(-1).to(call.q.device) for call in calls]
    sums = torch.stack([c.parts["lse"].masked_fill(~some, -torch.inf) for c, some in zip(calls, read, strict=True)])
    total = sums.logsumexp(0)
    shares = (sums - total).exp().nan_to_num()
    context = sum(share[..., None] * call.context.nan_to_num() for share, call in zip(shares, calls, strict=True))
    parts = {"lse": total.masked_fill(~total.isfinite(), 0)} | bias
    return with_keys(calls, keys, context=context, mask=simplest_mask(allowed), parts=parts)


def are_blocks(calls: list[AttentionCall]) -> bool:
    """Whether they have the same queries, and each has keys of its own, all of one sequence."""
    first = calls[0]
    rows = [call.places[1].rows for call in calls]
    queries = first.places[0]
    if len(calls) < 2 or None in rows or queries.rows is None or any(call.columns for call in calls):
        return False
    if not all(queries.same(call.places[0]) for call in calls) or not independent(calls):
        return False
    every = list(chain(*rows))
    return (
        len(set(every)) == len(every)
        and len({origin for origin, _ in every}) == 1
        and all(call.scale == first.scale and call.softcap == first.softcap for call in calls)
        and all(call.q.shape == first.q.shape and torch.equal(call.q, first.q) for call in calls[1:])
    )


def as_context(joined: AttentionCall, result: Tensor) -> Tensor | None:
    """The tensor [h, q, d_v], where it is the joined context up to rounding; None where it is anything else."""
    made = joined.context.to(result.dtype)
    error = 64 * max(torch.finfo(dtype).eps for dtype in (result.dtype, joined.context.dtype)) * made.abs().max()
    h, n, d = made.shape
    for sizes, order in (((h, n, d), (0, 1, 2)), ((n, h, d), (1, 0, 2)), ((n, d, h), (2, 0, 1))):
        found = result.reshape(sizes).permute(order)
        if bool(((made - found).abs() <= error).all()):
            return found
    return None
