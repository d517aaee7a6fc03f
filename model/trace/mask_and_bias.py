"""Masks and position biases split from the numbers added to the scores: a mask as a rule, a bias as one number an offset."""

from __future__ import annotations

import torch
from torch import Tensor

from model.transformer.masks import DenseMask, IntervalMask, RuleMask, compress

_MASKED = -9e3


def is_masked(score: Tensor | float) -> Tensor | bool:
    """Whether a number added to a score, or put in its place, is a mask: elementwise, a bool tensor of the same shape.

    Masks are written as −∞, as the smallest number of the type (float16: −65,504), as −1e9, or as the −10,000 of GPT-1 and
    BERT, which bfloat16 rounds to −9,984. Biases stay above −9,000: T5's are tens, and ALiBi with the slope ½ of its first
    head comes there after 18,000 tokens. NaN is no mask: it is a fault, and is shown as one.
    """
    return score <= _MASKED


def simplest_mask(allowed: Tensor) -> RuleMask | IntervalMask | DenseMask:
    """bool [q, k] -> a rule where it is one (all, causal, padding), else what `compress` makes of it."""
    allowed = allowed.cpu()
    rows, columns = allowed.shape
    keys = allowed[-1] if rows > 1 else allowed[0]
    keys = None if bool(keys.all()) else keys.clone()
    for causal in (False, True):
        if causal and rows != columns:
            break
        rule = RuleMask(causal, keys)
        if torch.equal(rule.allowed(rows, columns), allowed):
            return rule
    return compress(allowed)


def position_bias(bias: Tensor) -> tuple[str, Tensor]:
    """bias [h, q, k] -> ("bias_offsets", [h, q + k − 1]) where it depends on the offset alone, else ("bias", as it is)."""
    found = per_offset(bias, None)
    return ("bias", bias) if found is None else ("bias_offsets", found)


def per_offset(bias: Tensor, allowed: Tensor | None) -> Tensor | None:
    """[h, q, k] -> [h, q + k − 1] where the allowed cells depend on j − i alone; offsets never allowed are 0."""
    _, q, k = bias.shape
    device = bias.device
    offsets = (torch.arange(k)[None] - torch.arange(q)[:, None] + q - 1).to(device)
    if allowed is None:
        values = torch.cat([bias[:, :, 0].flip(1), bias[:, 0, 1:]], dim=1)
    else:
        cells = torch.arange(q * k, device=device)[allowed.reshape(-1)]
        example = torch.full((q + k - 1,), -1, device=device).scatter_(0, offsets.reshape(-1)[cells], cells)
        rows, columns = example.clamp(min=0) // k, example.clamp(min=0) % k
        values = bias[:, rows, columns].masked_fill(example < 0, 0)
    for head, row in zip(bias, values, strict=True):
        same = row[offsets] == head
        if not bool((same if allowed is None else same | ~allowed).all()):
            return None
    return values.contiguous()
