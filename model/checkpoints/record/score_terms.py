"""What was added to scale · q · kᵀ before a softmax, told apart: the mask, a bias an offset, a bias a key, or neither.

A mask may come as booleans or as large negative numbers; a position bias may come alone or in the same tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.trace.mask_and_bias import is_masked, per_offset


@dataclass(frozen=True, eq=False)
class Settled:
    """`allowed` bool [q, k]; `bias` by its kind: "" (none), "bias_offsets" [h, q + k − 1] or "bias" [h, q, k].

    shift [h, q]: what was taken from every score of a row to write a bias of the key as one of the offset. `dense` says
    that "bias" holds h · q · k numbers of its own.
    """

    allowed: Tensor
    kind: str = ""
    bias: Tensor | None = None
    shift: Tensor | None = None
    dense: bool = False


def position_bias(bias: Tensor) -> tuple[str, Tensor]:
    """bias [h, q, k] -> ("bias_offsets", [h, q + k − 1]) where it depends on the offset alone, else ("bias", as it is)."""
    found = per_offset(bias, None)
    return ("bias", bias) if found is None else ("bias_offsets", found)


def settle(shape: tuple[int, int, int], terms: list[Tensor], dropped: list[Tensor]) -> Settled:
    """Tell apart the additive `terms` and the `dropped` cells (bool), each [h or 1, q or 1, k or 1], of h, q, k scores."""
    _, q, k = shape
    masked = torch.zeros(1, 1, 1, dtype=torch.bool)
    for cells in dropped:
        masked = masked | cells
    rest = []
    for term in terms:
        low = is_masked(term)
        if bool(low.any()):
            masked = masked | low
            term = term.masked_fill(low, 0)
        if bool(term.any()):
            rest.append(term)
    common = masked.all(0)
    if masked.shape[0] > 1 and not torch.equal(common.expand_as(masked), masked):
        # The record has one mask for all heads: what only some heads mask is a bias of −∞ there.
        rest.append(torch.zeros(masked.shape).masked_fill(masked & ~common, -torch.inf))
    allowed = ~common.expand(q, k)
    if not rest:
        return Settled(allowed)
    return _bias(shape, sum(rest[1:], rest[0]), allowed)


def _bias(shape: tuple[int, int, int], total: Tensor, allowed: Tensor) -> Settled:
    h, q, k = shape
    if total.shape[1] > 1 or total.shape[2] == 1:
        found = per_offset(total.expand(-1, q, k), allowed)
        if found is not None:
            return Settled(allowed, "bias_offsets", found.expand(h, -1).contiguous())
    keys = _per_key(total.expand(-1, -1, k), allowed)
    if keys is None:
        return Settled(allowed, "bias", total.expand(h, q, k), dense=True)
    keys = keys.expand(h, k)
    line = _line(keys, allowed.any(0))
    if line is None:
        return Settled(allowed, "bias", keys[:, None].expand(h, q, k))
    slope, start = line
    # slope · j + start = slope · (j − i) + (slope · i + start): a softmax does not see what its whole row has in common.
    offsets = slope * torch.arange(1 - q, k, dtype=torch.float64)
    shift = slope * torch.arange(q, dtype=torch.float64) + start
    return Settled(allowed, "bias_offsets", offsets.to(keys.dtype), shift.to(keys.dtype))


def _per_key(bias: Tensor, allowed: Tensor) -> Tensor | None:
    """[h, q or 1, k] -> [h, k] where the allowed cells depend on the key alone; keys never allowed are 0."""
    if bias.shape[1] == 1:
        return bias[:, 0]
    keys = torch.arange(bias.shape[2])
    values = bias[:, allowed.to(torch.uint8).argmax(0), keys].masked_fill(~allowed.any(0), 0)
    for head, row in zip(bias, values, strict=True):
        if not bool(((row == head) | ~allowed).all()):
            return None
    return values


def _line(keys: Tensor, seen: Tensor) -> tuple[Tensor, Tensor] | None:
    """keys [h, k] -> float64 (slope [h, 1], start [h, 1]) where the seen keys lie on a line up to rounding (ALiBi)."""
    j = torch.arange(keys.shape[1])[seen]
    if j.numel() < 3:
        return None
    values = keys[:, seen].double()
    slope = (values[:, -1:] - values[:, :1]) / (j[-1] - j[0])
    start = values[:, :1] - slope * j[0]
    error = (slope * j + start - values).abs().max()
    return (slope, start) if error <= torch.finfo(keys.dtype).eps * values.abs().max() else None
