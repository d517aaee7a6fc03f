"""Blocks of a matrix that stands in memory, for what pools heads that do not."""

from __future__ import annotations

import numpy as np

from viz.base.axes import Axes


def by_block(weights: np.ndarray, allowed: np.ndarray, axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    """The strongest weight of each block: (weights, allowed) [blocks, blocks]."""
    rows, columns = (list(axis.starts) for axis in axes)
    strongest = np.maximum.reduceat(np.maximum.reduceat(weights, columns, axis=1), rows, axis=0)
    open_ = np.logical_or.reduceat(np.logical_or.reduceat(allowed, columns, axis=1), rows, axis=0)
    return strongest, open_
