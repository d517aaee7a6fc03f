"""Calls that read some of the keys each, over all of them: whose keys there are, and what masks and biases say of each cell."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall, Places, Row, compact


def union_of_keys(calls: list[AttentionCall]) -> tuple[Row, ...] | None:
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


def cells(
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
        if biased and (given := bias_of(call)) is not None:
            bias[:, own, at.to(bias.device)] = given.to(bias.dtype)
    return allowed, {"bias": bias} if biased else {}


def with_keys(calls: list[AttentionCall], keys: tuple[Row, ...], **facts: object) -> AttentionCall | None:
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
    return replace(first, k=k, v=v, places=places, path=shared_path(calls), heads=parts_of(calls), **facts)


def bias_of(call: AttentionCall) -> Tensor | None:
    """The bias [h, q, k] of a call, whose parts may have one number an offset [h, q + k − 1]."""
    if "bias_offsets" not in call.parts:
        return call.parts.get("bias")
    i, j = (torch.arange(size, device=call.q.device) for size in call.weights_shape[1:])
    return call.parts["bias_offsets"][:, j[None] - i[:, None] + len(i) - 1]


def shared_path(calls: list[AttentionCall]) -> list[tuple[str, str]]:
    """The modules that all of them ran in."""
    return [pair for pair in calls[0].path if all(pair in call.path for call in calls)]


def parts_of(calls: list[AttentionCall]) -> list[AttentionCall]:
    """The calls that these were put together of, down to those that the module made."""
    return [part for call in calls for part in (call.heads or [call])]
