"""How far a number may be off by rounding, whatever the dtype, and whichever way a processor adds.

One rule judges every figure that has a right answer: a sum of n numbers may be off by

    FEW · u · √n · size

where u is the dtype's unit roundoff and `size` the largest value that the sum passes through. Each of the n roundings is
at most u · size, but they are as often up as down, so that they grow with √n and not with n (Wilkinson's rule of thumb:
Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 2.8 and 3.1; proved in Higham & Mary 2019, "A New
Approach to Probabilistic Rounding Error Analysis"). The order in which a processor adds the numbers up does not matter to it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model.trace.difference import max_difference
from model.transformer.layer_norm import Normalised, layer_norm

# In units of √n · u · size. Over 40 families in four precisions and the trained models at hand the worst is 2.6, and 2.5
# in float32.
FEW = 4.0
_ROUNDINGS = 4  # of a number that is shifted, divided, multiplied and shifted again


def unit_roundoff(*dtypes: torch.dtype) -> float:
    """u of the coarsest of the dtypes, half the distance from 1 to the next number: 6·10⁻⁸ in float32 (Higham 2002, 2.1)."""
    return max(torch.finfo(dtype).eps for dtype in dtypes) / 2


def allowed(size: float | Tensor, terms: int = 1, dtype: torch.dtype = torch.float32) -> float:
    """How far a sum of `terms` numbers in `dtype` may be off: FEW · u · √terms · size.

    size: the largest value on the way, or a tensor whose largest finite number that is.
    """
    if isinstance(size, Tensor):
        finite = size[size.isfinite()]
        size = finite.abs().max().item() if finite.numel() else 0.0
    # Below the smallest normal number the distance to the next one no longer shrinks.
    return FEW * unit_roundoff(dtype) * math.sqrt(max(1, terms)) * max(size, torch.finfo(dtype).tiny)


def allowed_product(
    x: Tensor, W: Tensor, b: Tensor | None = None, dtype: torch.dtype = torch.float32, variance: Tensor | None = None
) -> Tensor:
    """How far each number of x · W + b may be off, float64 [n, d], where x [n, m] itself is off with `variance` or exact."""
    return FEW * product(x.double(), W.double(), b, unit_roundoff(dtype), variance)[1].sqrt()


def allowed_weights(scores: Tensor, terms: int) -> float:
    """How far a softmax in float32 of these scores, sums of `terms` products, may be off: dA_ij = A_ij (ds_ij − Σ A ds)."""
    return max(allowed(scores, terms), allowed(1.0, terms))


def allowed_norm(x: Tensor, mean: Tensor, sigma: Tensor, gain: Tensor, dtype: torch.dtype, off: float = 0.0) -> float:
    """How far (x − μ) / σ · gain may be off: x [n, d], which itself is off by `off`, μ and σ [n, 1], gain [d].

    The mean is a sum of d numbers divided by d, and so as far off as one rounding of √d · μ.
    """
    grown = gain.abs() / sigma
    size = (x.abs() + math.sqrt(x.shape[-1]) * mean.abs()) * grown
    return off * grown.max().item() + allowed(size, _ROUNDINGS, dtype)


def check_norm(
    x: Tensor, gamma: Tensor, beta: Tensor, recorded: Tensor, off: float = 0.0
) -> tuple[Normalised, float, float]:
    """LayerNorm of x [n, d], which itself is off by `off`, in float64: what it gives, max |it − recorded|, what is allowed."""
    found = layer_norm(x, gamma, beta)
    limit = allowed_norm(x, found.mean, found.sigma, gamma, recorded.dtype, off) + allowed(beta, dtype=recorded.dtype)
    return found, max_difference(found.y, recorded), limit


def product(x: Tensor, W: Tensor, b: Tensor | None, u: float, variance: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """x · W + b and the variance of its error. The sum passes through about √(Σ x² W²), more where its terms agree in sign."""
    value, squares = x @ W if b is None else x @ W + b.double(), W.square()
    size = torch.maximum(value.square(), x.square() @ squares)
    own = W.shape[0] * u**2 * size
    return value, own if variance is None else own + variance @ squares
