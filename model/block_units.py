"""The hidden units of a feed-forward layer: which fire, for which token, and what another activation would have passed.

FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (Vaswani et al. 2017, equation 2). GELU: Hendrycks & Gimpel 2016, equation 2, with
the exact Φ. SiLU: the gate of SwiGLU (Shazeer 2020, "GLU Variants Improve Transformer", equation 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ACTIVATIONS = ("relu", "gelu", "silu")


@dataclass(frozen=True, eq=False)
class Hidden:
    """One layer's hidden units: post [n, d_ff] after the activation; pre [n, d_ff] before it, None where only a gate's
    product is known; error: how far post · W_2 + b_2 lies from the recorded output at most, None where not compared."""

    post: Tensor
    pre: Tensor | None = None
    error: float | None = None

    @property
    def firing(self) -> float:
        """The share of the hidden numbers above 0: 0–1."""
        return (self.post > 0).double().mean().item()


def strongest(hidden: Hidden, row: int, top: int) -> list[tuple[int, float]]:
    """(unit, activation) of the units that fire most for one token, by size of the number."""
    values = hidden.post[row].double()
    best = values.abs().topk(min(top, len(values))).indices
    return [(int(unit), float(values[unit])) for unit in best]


def top_tokens(hidden: Hidden, unit: int) -> list[tuple[int, float]]:
    """(token's place, activation) of one unit over the input, largest first."""
    values = hidden.post[:, unit].double()
    return [(int(i), float(values[i])) for i in values.argsort(descending=True, stable=True)]


def activate(name: str, x: Tensor) -> Tensor:
    """One of `ACTIVATIONS` of float64 numbers."""
    x = x.double()
    if name == "relu":
        return x.clamp_min(0)
    if name == "gelu":
        return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return x / (1 + torch.exp(-x))
