"""Calls that are parts of one attention as one call: head by head, run by run of queries, or block by block of keys."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall, Places, Row, compact
from model.trace.mask_and_bias import simplest_mask


def join(calls: list[AttentionCall], result: Tensor) -> AttentionCall | None:
    """Calls whose contexts were put side by side in `result` as one: runs of queries, or heads; None where neither."""
    if len(set(map(id, calls))) < len(calls) or any(call.context is None for call in calls):
        return None
    apart = {call.places[0].rows for call in calls}
    runs = None not in apart and len(apart) == len(calls)
    joined = _join_queries(calls) if runs else _join_heads(calls)
    return joined if joined is not None and _is_context(joined, result) else None


def merge(calls: list[AttentionCall]) -> AttentionCall | None:
    """Calls of the same queries over blocks of the keys as one call: each context weighs as the sum of its block's e^scores.

    C = Σ_b e^(lse_b − lse) C_b with lse = log Σ_b e^lse_b (Dao et al. 2022, FlashAttention, section 3.1: equations of the
    decomposed softmax). None where the keys are not parts of one sequence, or a sum is not known.
    """
    keys = _union_of_keys(calls) if are_blocks(calls) else None
    if keys is None or any("lse" not in call.parts or "sinks" in call.parts for call in calls):
        return None
    allowed, bias = _cells(calls, keys, [slice(None)] * len(calls))
    read = [call.mask.allowed(*call.weights_shape[1:]).any(-1).to(call.q.device) for call in calls]
    sums = torch.stack([c.parts["lse"].masked_fill(~some, -torch.inf) for c, some in zip(calls, read, strict=True)])
    total = sums.logsumexp(0)
    shares = (sums - total).exp().nan_to_num()
    context = sum(share[..., None] * call.context.nan_to_num() for share, call in zip(shares, calls, strict=True))
    parts = {"lse": total.masked_fill(~total.isfinite(), 0)} | bias
    return _with_keys(calls, keys, context=context, mask=simplest_mask(allowed), parts=parts)


def are_blocks(calls: list[AttentionCall]) -> bool:
    """Whether they have the same queries, and each has keys of its own, all of one sequence."""
    first = calls[0]
    rows = [call.places[1].rows for call in calls]
    if len(calls) < 2 or None in rows or any(call.columns for call in calls):
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
    error = 64 * torch.finfo(torch.promote_types(result.dtype, torch.float16)).eps * made.abs().max()
    h, n, d = made.shape
    for sizes, order in (((h, n, d), (0, 1, 2)), ((n, h, d), (1, 0, 2)), ((n, d, h), (2, 0, 1))):
        found = result.reshape(sizes).permute(order)
        if bool(((made - found).abs() <= error).all()):
            return found
    return None


def _is_context(joined: AttentionCall, result: Tensor) -> bool:
    if joined.context.numel() != result.numel():
        return False
    made, flat = joined.context.nan_to_num(), result.reshape(-1).nan_to_num()
    orders = (made, made.transpose(0, 1), made.permute(1, 2, 0))
    return any(torch.equal(each.reshape(-1), flat) for each in orders)


def _union_of_keys(calls: list[AttentionCall]) -> tuple[Row, ...] | None:
    """The keys that any of the calls has, each once, in the order of their places; None where that is not known."""
    rows = [call.places[1].rows for call in calls]
    if None in rows or any(call.columns or len(set(own)) < len(own) for call, own in zip(calls, rows, strict=True)):
        return None
    every = dict.fromkeys(chain(*rows))
    one = len({origin for origin, _ in every}) == 1
    return tuple(sorted(every, key=lambda row: row[1]) if one else every)


def _at(call: AttentionCall, keys: tuple[Row, ...]) -> Tensor:
    """Which of `keys` those of the call are."""
    number = {row: at for at, row in enumerate(keys)}
    return torch.tensor([number[row] for row in call.places[1].rows])


def _cells(
    calls: list[AttentionCall], keys: tuple[Row, ...] | None, rows: list[slice]
) -> tuple[Tensor, dict[str, Tensor]]:
    """(allowed [q, k], {"bias": [h, q, k]} or nothing) of all keys, where each call has some `rows` and the keys that it has.

    keys: None where all calls have the same.
    """
    first = calls[0]
    n = max(rows[-1].stop or 0, first.q.shape[1])
    m = first.k.shape[1] if keys is None else len(keys)
    allowed = torch.zeros(n, m, dtype=torch.bool)
    biased = any(name.startswith("bias") for call in calls for name in call.parts)
    bias = torch.zeros(first.q.shape[0], n if biased else 0, m, dtype=first.q.dtype, device=first.q.device)
    for call, own in zip(calls, rows, strict=True):
        at = torch.arange(m) if keys is None else _at(call, keys)
        allowed[own, at] = call.mask.allowed(*call.weights_shape[1:]).cpu()
        if biased and (given := _bias(call)) is not None:
            bias[:, own, at.to(bias.device)] = given.to(bias.dtype)
    return allowed, {"bias": bias} if biased else {}


def _with_keys(calls: list[AttentionCall], keys: tuple[Row, ...], **facts: object) -> AttentionCall | None:
    """The first call with the facts and the keys of all; None where one key is not the same in two of them."""
    first, columns = calls[0], [_at(call, keys) for call in calls]
    heads = first.q.shape[0]
    made: list[Tensor] = []
    for name in ("k", "v"):
        parts = [part.repeat_interleave(heads // part.shape[0], 0) for part in (getattr(call, name) for call in calls)]
        whole = parts[0].new_zeros(heads, len(keys), parts[0].shape[-1])
        for at, part in zip(columns, parts, strict=True):
            whole[:, at] = part
        if not all(torch.equal(whole[:, at], part) for at, part in zip(columns, parts, strict=True)):
            return None
        made.append(whole)
    k, v = compact(*made)
    places = (facts.pop("queries", first.places[0]), Places(keys))
    return replace(first, k=k, v=v, places=places, path=shared_path(calls), heads=calls, **facts)


def _join_queries(calls: list[AttentionCall]) -> AttentionCall | None:
    """Runs of queries, in their order, that read the same keys or some of one sequence's; their biases cell by cell."""
    first = calls[0]
    for call in calls[1:]:
        alike = (call.scale, call.softcap, call.columns) == (first.scale, first.softcap, first.columns)
        if not alike or call.q.shape[::2] != first.q.shape[::2] or call.make_bias is not None:
            return None
    same = all(torch.equal(one, first_one) for call in calls[1:]
               for one, first_one in ((call.k, first.k), (call.v, first.v)) )  # fmt: skip
    keys = None if same else _union_of_keys(calls)
    if not same and keys is None:
        return None
    stops = torch.tensor([call.q.shape[1] for call in calls]).cumsum(0).tolist()
    rows = [slice(stop - call.q.shape[1], stop) for call, stop in zip(calls, stops, strict=True)]
    allowed, parts = _cells(calls, keys, rows)
    if all("lse" in call.parts for call in calls):
        parts["lse"] = torch.cat([call.parts["lse"] for call in calls], 1)
    sinks = [call.parts.get("sinks") for call in calls]
    if sinks[0] is not None:
        if any(each is None or not torch.allclose(each, sinks[0], rtol=1e-4) for each in sinks):
            return None
        parts["sinks"] = sinks[0]
    elif any(each is not None for each in sinks):
        return None
    q, context = (torch.cat([getattr(call, name) for call in calls], 1) for name in ("q", "context"))
    facts = {"q": q, "context": context, "mask": simplest_mask(allowed), "parts": parts}
    queries = Places(tuple(row for call in calls for row in call.places[0].rows))
    if keys is not None:
        return _with_keys(calls, keys, queries=queries, **facts)
    return replace(first, places=(queries, first.places[1]), path=shared_path(calls), heads=calls, **facts)


def _bias(call: AttentionCall) -> Tensor | None:
    """The bias [h, q, k] of a call, whose parts may have one number an offset [h, q + k − 1]."""
    if "bias_offsets" not in call.parts:
        return call.parts.get("bias")
    i, j = (torch.arange(size, device=call.q.device) for size in call.weights_shape[1:])
    return call.parts["bias_offsets"][:, j[None] - i[:, None] + len(i) - 1]


def shared_path(calls: list[AttentionCall]) -> list[tuple[str, str]]:
    """The modules that all of them ran in."""
    return [pair for pair in calls[0].path if all(pair in call.path for call in calls)]


def _join_heads(calls: list[AttentionCall]) -> AttentionCall | None:
    """Calls that were made head by head as the heads of one, or None where they differ in anything but numbers and masks."""
    first = calls[0]
    n, m = first.q.shape[1], first.k.shape[1]
    for call in calls:
        shapes = [(t.shape[1:], u.shape[1:]) for t, u in ((call.q, first.q), (call.k, first.k), (call.v, first.v))]
        if any(a != b for a, b in shapes) or (call.scale, call.softcap) != (first.scale, first.softcap):
            return None
        if call.k.shape[0] != call.q.shape[0] or call.make_bias is not None or call.columns != first.columns:
            return None
    if are_blocks(calls):
        return None  # the same queries: not heads, but parts of the keys
    masks = [call.mask.allowed(n, m) for call in calls]
    names = {name for call in calls for name in call.parts}
    biased = bool(names & {"bias", "bias_offsets"}) and any(call.parts.keys() != first.parts.keys() for call in calls)
    apart = biased or not all(torch.equal(each, masks[0]) for each in masks)
    if apart or any(call.parts.keys() != first.parts.keys() for call in calls):
        return _with_masks(calls, masks)
    parts = {name: torch.cat([call.parts[name] for call in calls]) for name in first.parts}
    return _of_heads(calls, first.mask, parts)


def _with_masks(calls: list[AttentionCall], masks: list[Tensor]) -> AttentionCall | None:
    """Heads of which each masks other cells: the record has one mask for all, and the rest is a bias of −∞."""
    others = [call.parts.keys() - {"bias", "bias_offsets"} for call in calls]
    if any(each != others[0] for each in others):
        return None
    allowed, biases = torch.stack(masks).any(0), []
    for call, mask in zip(calls, masks, strict=True):
        own = _bias(call)
        own = call.q.new_zeros(call.weights_shape) if own is None else own
        biases.append(own.masked_fill((allowed & ~mask).to(own.device), -torch.inf))
    parts = {name: torch.cat([call.parts[name] for call in calls]) for name in others[0]}
    return _of_heads(calls, simplest_mask(allowed), parts | {"bias": torch.cat(biases)})


def _of_heads(calls: list[AttentionCall], mask: object, parts: dict[str, Tensor]) -> AttentionCall:
    q, k, v, context = (torch.cat([getattr(call, name) for call in calls]) for name in ("q", "k", "v", "context"))
    return replace(
        calls[0], q=q, k=k, v=v, context=context, mask=mask, parts=parts, path=shared_path(calls), heads=calls
    )
