"""How far two correct computations of the same numbers may lie apart: from their size, their dtype and their sums' length.

A sum of n numbers is off by at most n · u · Σ|x| whatever the order it is added up in, u being the dtype's unit roundoff
(Higham 2002, Accuracy and Stability of Numerical Algorithms, section 4.2). That is never reached: each rounding is as often
up as down, and n of them come to about √n · u · |largest partial sum| (Wilkinson's rule of thumb, sections 2.8 and 3.1).
Processors differ in the order alone (8 or 16 numbers at a time, products fused with the addition or not), so that

    off = FEW · u · √n · size,        size: the largest value that the sum passes through

holds on each of them, with FEW = 4 standard deviations of what is left to chance, and no fixed number does: 10⁻⁵ is
generous for weights and less than one unit in the last place of a stream of thousands. A fault that a test is to find is
larger by orders of magnitude. The product's own rule (`model.trace.fidelity`) is written apart, so that neither hides the other.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

FEW = 4
UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def size_of(values: object) -> float:
    """The largest finite |value| of a number, an array or a tensor; 0 of none."""
    if isinstance(values, torch.Tensor):
        values = values.detach().double().numpy()
    array = np.abs(np.asarray(values, dtype=np.float64))
    return float(array[np.isfinite(array)].max(initial=0.0))


def off(size: object, terms: int = 1, dtype: torch.dtype | str = torch.float32) -> float:
    """FEW · u · √terms · max|size|: `terms` counts what is added up on the whole way, layer after layer."""
    return FEW * UNIT[str(dtype).removeprefix("torch.")] * math.sqrt(terms) * size_of(size)


def close(
    got: object,
    want: object,
    terms: int = 1,
    dtype: torch.dtype | str = torch.float32,
    size: object = None,
    what: str = "",
) -> None:
    """Every number of `got` within `off` of `want`; size: what the sums pass through, where that is more than their result."""
    got, want = (x.detach().double().numpy() if isinstance(x, torch.Tensor) else np.asarray(x) for x in (got, want))
    bound = off(want if size is None else size, terms, dtype)
    np.testing.assert_allclose(got, want, atol=bound, rtol=0, err_msg=what)


def near(value: object, terms: int = 1, dtype: torch.dtype | str = torch.float32, size: object = None) -> object:
    """What `==` holds against one number, or a list of them: within `off` of its own size, or of `size`; NaN is NaN."""
    return pytest.approx(value, abs=off(value if size is None else size, terms, dtype), rel=0, nan_ok=True)


def weight(scores: object, d_k: int, dtype: torch.dtype | str = torch.float32) -> float:
    """For softmax weights: dA_ij = A_ij (ds_ij − Σ A ds) moves a weight by what its scores, sums of d_k products, are off."""
    return off(max(1.0, size_of(scores)), d_k, dtype)


# Of weights and other shares of 1, whose scores are sums of up to 64 products and of a size of about 1: 1.9e-6. Where the
# scores are larger, `weight` says by how much.
WEIGHT = off(1.0, 64)
