"""How far two results lie apart, where a number may be NaN or infinite."""

from __future__ import annotations

import math

from torch import Tensor


def apart(got: Tensor, recorded: Tensor) -> Tensor:
    """|got − recorded| in float64, number by number: 0 where both are NaN or the same infinity, NaN where one alone is."""
    got, recorded = got.double(), recorded.double()
    same = (got == recorded) | (got.isnan() & recorded.isnan())
    found = (got - recorded).abs().masked_fill(same, 0)
    return found.masked_fill(got.isfinite() != recorded.isfinite(), math.nan)


def max_difference(got: Tensor, recorded: Tensor) -> float:
    """max |got − recorded|, as `apart` takes it."""
    return apart(got, recorded).max().item()
