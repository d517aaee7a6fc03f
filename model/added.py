"""What a model adds to its scores, told apart and kept small: a mask as a rule, a bias as one number an offset."""

from __future__ import annotations

import torch
from torch import Tensor

from model.masks import Explicit, Intervals, Mask, compress

# A score this low beside others is a mask written as a number (−1e4 in GPT-1, −1e9, the smallest number of the type).
HIDDEN = -9e3


def split(added: Tensor, causal: bool) -> tuple[Mask | Intervals | Explicit, Tensor | None]:
    """added [1 or h, q, k], mask and bias in one -> (mask, bias [1 or h, q, k] or None where nothing else is added)."""
    low = added <= HIDDEN
    # A row in which every key has the same finite low score is not masked: its weights are even, not 0.
    hidden = torch.isneginf(added) | (low & ~low.all(-1, keepdim=True))
    everywhere = hidden.all(0)
    if causal:
        everywhere = everywhere | ~torch.ones_like(everywhere).tril()
    bias = added.masked_fill(hidden, -torch.inf).masked_fill(everywhere, 0.0)
    return _simplest(~everywhere), bias if bool(bias.any()) else None


def _simplest(allowed: Tensor) -> Mask | Intervals | Explicit:
    """bool [q, k] -> a rule where it is one (all, causal, padding), else what `compress` makes of it."""
    allowed = allowed.cpu()
    rows, columns = allowed.shape
    keys = allowed[-1] if rows > 1 else allowed[0]
    keys = None if bool(keys.all()) else keys.clone()
    for causal in (False, True):
        if causal and rows != columns:
            break
        rule = Mask(causal, keys)
        if torch.equal(rule.allowed(rows, columns), allowed):
            return rule
    return compress(allowed)


def bias_parts(bias: Tensor, mask: Mask | Intervals | Explicit) -> dict[str, Tensor]:
    """bias [h, q, k] -> {"bias_offsets": [h, q + k − 1]}, or {"bias": as it is}.

    Only the cells that the mask leaves count: behind it a bias is not known.
    """
    _, rows, columns = bias.shape
    allowed = mask.allowed(rows, columns).to(bias.device)
    offset = (torch.arange(columns)[None] - torch.arange(rows)[:, None] + rows - 1).to(bias.device)
    table = bias.new_zeros(bias.shape[0], rows + columns - 1)
    table[:, offset[allowed]] = bias[:, allowed]
    if torch.equal(table[:, offset][:, allowed], bias[:, allowed]):
        return {"bias_offsets": table}
    return {"bias": bias.contiguous()}
