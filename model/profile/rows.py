"""Which texts of a profile stand for a head, and how its values spread."""

from __future__ import annotations

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def quantiles(values: np.ndarray) -> np.ndarray:
    """values [text, head] -> [quantile, head] of the texts that have one, at QUANTILES; NaN where none has."""
    found = np.full((len(QUANTILES), values.shape[1]), np.nan)
    for head in range(values.shape[1]):
        column = values[:, head]
        column = column[np.isfinite(column)]
        if len(column):
            found[:, head] = np.quantile(column.astype(np.float64), QUANTILES)
    return found


def typical(values: np.ndarray, count: int) -> list[int]:
    """Of one head's values [text], the rows nearest the median, nearest first; of equal ones the earlier."""
    return _first(np.abs(values - np.nanmedian(values)) if np.isfinite(values).any() else values, count)


def lowest(values: np.ndarray, count: int) -> list[int]:
    return _first(values, count)


def highest(values: np.ndarray, count: int) -> list[int]:
    return _first(-values, count)


def _first(values: np.ndarray, count: int) -> list[int]:
    """The rows of the smallest values, without those that have none."""
    order = np.argsort(values, kind="stable")
    return [int(row) for row in order[: np.isfinite(values).sum()][:count]]
