"""What a cell of a matrix is: a number, masked, not a number, or clipped."""

from __future__ import annotations

import numpy as np

PLAIN, MASKED, NAN, CLIPPED = 0, 1, 2, 3


def states(values: np.ndarray, allowed: np.ndarray | None, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """uint8 [rows, columns]: what kind each cell is, so that masked, NaN and clipped are drawn as themselves."""
    state = np.full(values.shape, PLAIN, np.uint8)
    with np.errstate(invalid="ignore"):
        # A weight may pass 1 by rounding alone: that is no clipping.
        slack = 1e-5 * max(abs(low), abs(high), 1e-9)
        state[(values < low - slack) | (values > high + slack)] = CLIPPED
    state[np.isnan(values)] = NAN
    if allowed is not None:
        state[~allowed] = MASKED
    return state
