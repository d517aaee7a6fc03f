"""Where a curve over training changed from one level to another, with an interval, and whether it did so at all.

The curve is taken as normal around a level μ_0 up to a snapshot a, a level μ_1 from a snapshot b on, and the straight line
between them in log(1 + step); neighbouring a and b are a jump. Of all pairs the one with the least residual sum of squares RSS
is the fit (segments that join, Hudson 1966, "Fitting segmented curves whose join points have to be estimated", JASA 61).
The interval goes from the first a to the last b of all pairs whose log-likelihood −n/2 · ln RSS is at most χ²₂(0.95) / 2 = 3.00
below the largest: the likelihood region of the two join points (Seber & Wild 1989, Nonlinear Regression, chapter 5).

Whether there is a change is Schwarz's criterion n · ln(RSS / n) + p · ln n, p the parameters with σ, as Yao 1988 uses it
("Estimating the number of change-points via Schwarz' criterion"): two levels (p = 5) have to be better by `LEAST_BIC` ("strong",
Kass & Raftery 1995) than no change (p = 2), than a straight line in log(1 + step) (p = 3) and than two straight lines that meet
at a snapshot (p = 5): what only grows has no step at which it came to be. Nor has what takes more than a third of log(1 + step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEAST_BIC = 6.0
LEAST_SNAPSHOTS = 6
_SIDE = 2  # snapshots on each level: one alone is none
_DROP = 3.0  # of the log-likelihood
_NOISE = 0.01  # least standard deviation, as a part of the curve's range: numbers without noise prove no more than this
_WIDEST = 1 / 3  # of the whole in log(1 + step)


@dataclass(frozen=True)
class ChangePoint:
    """A change from the level `before` to the level `after`, likeliest from the snapshot `last`, the last of the one, to `first`,
    the first of the other; low, high: the ends of the 95 % interval, low ≤ last < first ≤ high."""

    last: int
    first: int
    low: int
    high: int
    before: float
    after: float


def change_point(steps: Sequence[int], values: Sequence[float], least: float = 0.1) -> ChangePoint | None:
    """The change of `values`, one a snapshot, None where they have none; what is not a number is left out.

    least: by how much the two levels differ at least, in the unit of the values.
    """
    known = np.isfinite(np.asarray(values, float))
    x, y = np.asarray(steps)[known], np.asarray(values, float)[known]
    n = len(y)
    if n < LEAST_SNAPSHOTS or np.ptp(y) < least:
        return None
    t, floor = np.log1p(x), n * (_NOISE * np.ptp(y)) ** 2
    pairs = [(a, b) for a in range(_SIDE - 1, n - _SIDE) for b in range(a + 1, n - _SIDE + 1)]
    rss = np.array([_fitted(_ramp(t, a, b), y)[0] for a, b in pairs]) + floor
    best = int(rss.argmin())
    a, b = pairs[best]
    before, rise = _fitted(_ramp(t, a, b), y)[1]
    others = min(
        _schwarz(_fitted(np.empty((n, 0)), y)[0] + floor, n, 2),
        _schwarz(_fitted(t[:, None], y)[0] + floor, n, 3),
        _schwarz(_broken_line(t, y) + floor, n, 5),
    )
    is_slow = t[b] - t[a] > _WIDEST * (t[-1] - t[0]) and b > a + 1
    if is_slow or abs(rise) < least or others - _schwarz(rss[best], n, 5) < LEAST_BIC:
        return None
    likely = [pair for pair, drop in zip(pairs, n / 2 * np.log(rss / rss[best]), strict=True) if drop <= _DROP]
    low, high = min(a for a, _ in likely), max(b for _, b in likely)
    return ChangePoint(int(x[a]), int(x[b]), int(x[low]), int(x[high]), float(before), float(before + rise))


def _ramp(t: Float[np.ndarray, " n"], a: int, b: int) -> Float[np.ndarray, "n 1"]:
    """0 up to the snapshot a, 1 from b on, straight between them."""
    return np.clip((t - t[a]) / (t[b] - t[a]), 0, 1)[:, None]


def _broken_line(t: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """RSS around the best two straight lines that meet at a snapshot between the first and the last."""
    return min(_fitted(np.stack([t, np.maximum(t - knot, 0)], 1), y)[0] for knot in t[1:-1])


def _schwarz(rss: float, n: int, parameters: int) -> float:
    return float(n * np.log(rss / n) + parameters * np.log(n))


def _fitted(columns: Float[np.ndarray, "n c"], y: Float[np.ndarray, " n"]) -> tuple[float, np.ndarray]:
    """(RSS, coefficients) of the least squares of y on a constant and these columns."""
    design = np.column_stack([np.ones(len(y)), columns])
    found = np.linalg.lstsq(design, y, rcond=None)[0]
    return float(((y - design @ found) ** 2).sum()), found
