"""Learning rates by step, counted from 1: constant, the paper's inverse square root, warm-up and half a cosine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """What a schedule knows: `steps` in all, `warmup` of them rising, the model's width, and the highest rate (None: its own)."""

    steps: int
    warmup: int
    d_model: int
    peak: float | None = None

    @property
    def rising(self) -> int:
        """Warm-up steps, at most a fifth of all, so that a short run learns too."""
        return min(self.warmup, max(1, self.steps // 5))


def constant(step: int, span: Span) -> float:
    """The same rate at every step, 1e-4 where none is given."""
    return 1e-4 if span.peak is None else span.peak


def inverse_square_root(step: int, span: Span) -> float:
    """d_model^−½ · min(step^−½, step · warmup^−1.5) (Vaswani et al. 2017, section 5.3, equation 3).

    The highest rate, at the end of the warm-up, is (d_model · warmup)^−½; a given `peak` scales the curve to that one.
    """
    highest = (span.d_model * span.warmup) ** -0.5
    rate = span.d_model**-0.5 * min(step**-0.5, step * span.warmup**-1.5)
    return rate if span.peak is None else rate * span.peak / highest


def cosine(step: int, span: Span) -> float:
    """Linear from 0 to the peak (1e-3 where none is given) in the warm-up, then half a cosine down to 0 at the last step
    (Loshchilov & Hutter 2017, equation 5, without restarts)."""
    peak, rising = 1e-3 if span.peak is None else span.peak, span.rising
    if step < rising:
        return peak * step / rising
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, span.steps - rising)))


SCHEDULES: Mapping[str, Callable[[int, Span], float]] = {
    "constant": constant,
    "inverse-square-root": inverse_square_root,
    "cosine": cosine,
}
