"""Calls that are parts of one attention as one call: head by head, or run by run of queries."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall, Places, Row, independent
from model.instrumentation.operators.in_parts.keys import (
    bias_of,
    cells,
    parts_of,
    shared_path,
    union_of_keys,
    with_keys,
)
from model.trace.mask_and_bias import simplest_mask

FILLED = 0  # no axis counted from the end


def join(calls: list[AttentionCall], result: Tensor, axis: int | None) -> AttentionCall | None:
    """Calls whose contexts were put side by side in `result` as one: heads, runs of queries, or heads of each run.

    axis: the one of the contexts, counted from the end, along which they were concatenated; None where they were stacked, and
    FILLED where they were written into a tensor that has an axis for heads and one for queries. None where they are no parts
    of one attention: layers, whose later one reads the earlier, or attentions of other keys.
    """
    if len(set(map(id, calls))) < len(calls) or not all(map(_alone, calls)) or not independent(calls):
        return None
    if len({call.v.shape[-1] for call in calls}) > 1:
        return None
    runs = _runs(calls, axis)
    if runs and axis != FILLED and 1 < len(runs) < len(calls):  # which head goes on in which run is not told by a list
        return None
    heads = [_join_heads(run) if len(run) > 1 else run[0] for run in runs or ()]
    if not heads or None in heads:
        return None
    joined = _join_queries(heads) if len(heads) > 1 else heads[0]
    if joined is None:
        return None
    joined = replace(joined, heads=parts_of(calls))
    return next((each for each in (joined, _in_order(joined)) if each is not None and _is_context(each, result)), None)


def _alone(call: AttentionCall) -> bool:
    """Whether nothing was made of its context yet."""
    return call.context is not None and call.projection is None and call.output is None


def _runs(calls: list[AttentionCall], axis: int | None) -> list[list[AttentionCall]] | None:
    """The calls of each run of queries, which are its heads; None where it is not known which is which."""
    if all(call.places[0].rows is not None for call in calls):
        found: dict[tuple[Row, ...], list[AttentionCall]] = {}
        for call in calls:
            found.setdefault(call.places[0].rows, []).append(call)
        return list(found.values()) if len({len(run) for run in found.values()}) == 1 else None
    positions = {call.projected_from for call in calls}
    queries = {call.q.shape[1] for call in calls}
    if axis != -2 and len(queries) == 1 and (positions == queries or (axis == -1 and positions == {None})):
        return [calls]
    whole = positions == {sum(call.q.shape[1] for call in calls)}
    runs = (whole and axis in (-2, FILLED)) or (axis == -2 and positions == {None})
    return [[call] for call in calls] if runs else None


def _in_order(joined: AttentionCall) -> AttentionCall | None:
    """With the queries in the order of their sequence, where they were computed in another one (every other row, say)."""
    rows = joined.places[0].rows
    if rows is None or len({origin for origin, _ in rows}) > 1:
        return None
    order = sorted(range(len(rows)), key=lambda at: rows[at][1])
    if order == list(range(len(rows))):
        return None
    at = torch.tensor(order)
    allowed = joined.mask.allowed(*joined.weights_shape[1:])[at]
    turned = {name: part if name == "sinks" else part[:, at] for name, part in joined.parts.items()}
    if "bias_offsets" in turned:
        return None
    places = Places(tuple(rows[each] for each in order)), joined.places[1]
    return replace(
        joined,
        q=joined.q[:, at],
        context=joined.context[:, at],
        mask=simplest_mask(allowed),
        parts=turned,
        places=places,
    )


def _is_context(joined: AttentionCall, result: Tensor) -> bool:
    if joined.context.numel() != result.numel():
        return False
    made, flat = joined.context.nan_to_num(), result.reshape(-1).nan_to_num()
    orders = (made, made.transpose(0, 1), made.permute(1, 2, 0))
    return any(torch.equal(each.reshape(-1), flat) for each in orders)


def _join_queries(calls: list[AttentionCall]) -> AttentionCall | None:
    """Runs of queries, in their order, that read the same keys or some of one sequence's; their biases cell by cell."""
    first = calls[0]
    for call in calls[1:]:
        alike = (call.scale, call.softcap, call.columns) == (first.scale, first.softcap, first.columns)
        if not alike or call.q.shape[::2] != first.q.shape[::2] or call.make_bias is not None:
            return None
    equal = all(torch.equal(call.k, first.k) and torch.equal(call.v, first.v) for call in calls[1:])
    known = all(call.places[1].rows is not None for call in calls)
    same = all(call.places[1].same(first.places[1]) for call in calls) if known else equal
    if same and not equal:  # the same keys of other heads
        return None
    keys = None if same else union_of_keys(calls)
    if not same and keys is None:
        return None
    stops = torch.tensor([call.q.shape[1] for call in calls]).cumsum(0).tolist()
    rows = [slice(stop - call.q.shape[1], stop) for call, stop in zip(calls, stops, strict=True)]
    allowed, parts = cells(calls, keys, rows)
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
    rows_known = all(call.places[0].rows is not None for call in calls)
    queries = Places(tuple(row for call in calls for row in call.places[0].rows) if rows_known else None)
    if keys is not None:
        return with_keys(calls, keys, queries=queries, **facts)
    return replace(first, places=(queries, first.places[1]), path=shared_path(calls), **facts)


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
        # Heads have the same keys: what reads others is another attention, and has their words.
        if not (call.places[1].same(first.places[1]) and call.descent[1] == first.descent[1]):
            return None
    masks = [call.mask.allowed(n, m) for call in calls]
    alike = all(torch.equal(each, masks[0]) for each in masks)
    if not alike or any(call.parts.keys() != first.parts.keys() for call in calls):
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
        own = bias_of(call)
        own = call.q.new_zeros(call.weights_shape) if own is None else own
        biases.append(own.masked_fill((allowed & ~mask).to(own.device), -torch.inf))
    parts = {name: torch.cat([call.parts[name] for call in calls]) for name in others[0]}
    return _of_heads(calls, simplest_mask(allowed), parts | {"bias": torch.cat(biases)})


def _of_heads(calls: list[AttentionCall], mask: object, parts: dict[str, Tensor]) -> AttentionCall:
    q, k, v, context = (torch.cat([getattr(call, name) for call in calls]) for name in ("q", "k", "v", "context"))
    return replace(calls[0], q=q, k=k, v=v, context=context, mask=mask, parts=parts, path=shared_path(calls))
