"""The change point of a curve over training: two levels with a step between them, its interval, and whether it is one at all.

The snapshots y_1 … y_n are taken as normal around a mean that is μ_0 up to one of them and μ_1 after it (Hinkley 1970,
"Inference about the change-point in a sequence of random variables", Biometrika 57, section 2). Its place is where the residual
sum of squares RSS is least. The interval is the likelihood's own (Siegmund 1988, "Confidence sets in change-point problems"):
every place whose log-likelihood −n/2 · ln RSS is at most 1.92 = χ²₁(0.95) / 2 below the largest.

Whether there is a change is Schwarz's criterion n · ln(RSS / n) + p · ln n, p the parameters, as Yao 1988 uses it ("Estimating
the number of change-points via Schwarz' criterion"): two levels (p = 4) have to be better by `LEAST_BIC` ("strong", Kass &
Raftery 1995) than no change (p = 2), than a straight line in log(1 + step) (p = 3) and than two straight lines that meet at a
snapshot (p = 5, Hudson 1966): what only grows has no step at which it came to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEAST_BIC = 6.0
LEAST_SNAPSHOTS = 6
_SIDE = 2  # snapshots on each side: one alone has no level
_DROP = 1.92  # of the log-likelihood
_NOISE = 0.01  # least standard deviation, as a part of the curve's range: numbers without noise prove no more than this


@dataclass(frozen=True)
class ChangePoint:
    """A step in a curve.

    last, first: the snapshots between which it is likeliest. low, high: the same of the 95 % interval, low ≤ last < first ≤ high.
    before, after: the two levels.
    """

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
    floor = n * (_NOISE * np.ptp(y)) ** 2
    # place k: the first k snapshots are on the first level
    places = np.arange(_SIDE, n - _SIDE + 1)
    rss = np.array([_around_mean(y[:k]) + _around_mean(y[k:]) for k in places]) + floor
    best = int(rss.argmin())
    k = int(places[best])
    before, after = float(y[:k].mean()), float(y[k:].mean())
    others = min(
        _schwarz(_around_mean(y) + floor, n, 2),
        _schwarz(_line(x, y) + floor, n, 3),
        _schwarz(_broken_line(x, y) + floor, n, 5),
    )
    if abs(after - before) < least or others - _schwarz(rss[best], n, 4) < LEAST_BIC:
        return None
    likely = places[n / 2 * np.log(rss / rss[best]) <= _DROP]
    return ChangePoint(int(x[k - 1]), int(x[k]), int(x[likely.min() - 1]), int(x[likely.max()]), before, after)


def _around_mean(y: Float[np.ndarray, " n"]) -> float:
    return float(((y - y.mean()) ** 2).sum())


def _schwarz(rss: float, n: int, parameters: int) -> float:
    return float(n * np.log(rss / n) + parameters * np.log(n))


def _line(x: np.ndarray, y: np.ndarray) -> float:
    """RSS around the straight line in log(1 + step)."""
    return _fitted(np.log1p(x)[:, None], y)


def _broken_line(x: np.ndarray, y: np.ndarray) -> float:
    """RSS around the best two straight lines in log(1 + step) that meet at a snapshot between the first and the last."""
    t = np.log1p(x)
    return min(_fitted(np.stack([t, np.maximum(t - knot, 0)], 1), y) for knot in t[1:-1])


def _fitted(columns: Float[np.ndarray, "n c"], y: Float[np.ndarray, " n"]) -> float:
    design = np.column_stack([np.ones(len(y)), columns])
    return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())
