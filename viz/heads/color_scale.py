"""The upper end of a head's colour scale: 1, alike for every picture, or the largest weight of this one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from model.attention.rows import in_blocks
from model.trace.per_trace import PerTrace
from viz.base import numbers
from viz.base.axes import Axes
from viz.heads.matrix import cells

if TYPE_CHECKING:
    from model.trace.attention_record import AttentionRecord

# A picture without any weight of this size would be pale on 0–1.
PALE = 0.2
# The largest weight of a long head takes all its weights.
_largest: PerTrace[float] = PerTrace()


def round_up(value: float) -> float:
    """The next 1, 2 or 5 × 10^k from `value` on; 1 for what has no size (0, NaN, ∞)."""
    if not (0 < value < math.inf):
        return 1.0
    power = math.floor(math.log10(value))
    for digit, more in ((1, 0), (2, 0), (5, 0), (1, 1)):
        # From text, because 2 · 10**-2 and 0.02 need not be the same float.
        end = float(f"{digit}e{power + more}")
        if end >= value * (1 - 1e-6):  # a weight may pass a round number by rounding alone
            return end
    return float(f"2e{power + 1}")  # log10 of a number just below a power of ten may be that power


def largest(record: AttentionRecord, head: int, axes: Axes) -> float:
    """The largest weight of what a picture shows; of a window, of the whole head, which its map shows too."""
    values, allowed = cells(record, head, axes)
    most = _most(values, allowed)
    return most if all(axis.whole for axis in axes) else max(most, _of_all(record, head))


def _of_all(record: AttentionRecord, head: int) -> float:
    def most() -> float:
        return max(_most(weights, record.allowed(rows).numpy()) for rows, weights in in_blocks(record, head))

    return _largest.get(record, head, most)


def _most(values: np.ndarray, allowed: np.ndarray) -> float:
    shown = values[allowed & np.isfinite(values)]
    return float(shown.max()) if shown.size else 0.0


def suggested(largest_weight: float) -> str:
    """ "1" for a scale of 0–1, "max" where no weight would be seen on it."""
    return "max" if 0 < largest_weight < PALE else "1"


def end(largest_weight: float, scale: str) -> float:
    """The weight that gets the darkest colour. `scale` is "1", "max" or "" for what is suggested."""
    return round_up(largest_weight) if (scale or suggested(largest_weight)) == "max" else 1.0


def written(end: float) -> str:
    """0.05 and not 0.0500: the end is exact."""
    return f"{end:g}" if end >= 1e-4 else numbers.short(end)
