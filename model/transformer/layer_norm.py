"""LayerNorm and RMSNorm as formulas, with the parts that pages show.

    y = γ (x − μ) / σ + β,    μ = mean(x),    σ = √(mean((x − μ)²) + ε)       (Ba, Kiros & Hinton 2016, equations 3 and 4)

RMSNorm leaves μ and β out (Zhang & Sennrich 2019, equation 4). What a model runs is torch's fused kernel of the same
(`model.transformer.layers.LayerNorm`); every recomputed norm in the project is made here.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

EPSILON = 1e-5


@dataclass(frozen=True, eq=False)
class Normalised:
    """y, as x; mean (0 of an RMSNorm), variance and sigma of each row, whose last axis has length 1."""

    y: Tensor
    mean: Tensor
    variance: Tensor
    sigma: Tensor


def layer_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = EPSILON
) -> Normalised:
    """γ (x − μ) / σ + β over the last axis, in the dtype of x: [..., d]; γ 1 and β 0 where they are not given."""
    return _scaled(x, x.mean(-1, keepdim=True), gamma, beta, epsilon)


def rms_norm(x: Tensor, gamma: Tensor | None = None, epsilon: float = EPSILON) -> Normalised:
    """γ x / √(mean(x²) + ε) over the last axis, in the dtype of x: [..., d]."""
    return _scaled(x, x.new_zeros(*x.shape[:-1], 1), gamma, None, epsilon)


def _scaled(x: Tensor, mean: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float) -> Normalised:
    variance = (x - mean).square().mean(-1, keepdim=True)
    sigma = (variance + epsilon).sqrt()
    y = (x - mean) / sigma
    y = y if gamma is None else y * gamma
    return Normalised(y if beta is None else y + beta, mean, variance, sigma)
