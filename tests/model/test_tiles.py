"""Tiles of a head against its whole weights, pooled cell by cell, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.attention import tiles
from model.errors import OutOfRange, UnknownOption
from tests import bounds
from tests.model.test_statistics import KINDS, weights

pytestmark = pytest.mark.float32


def brute(A: np.ndarray, allowed: np.ndarray, level: int, how: str) -> tuple[np.ndarray, np.ndarray]:
    """(values, masked) of the whole head at a level."""
    step = 2**level
    rows, columns = (np.arange(0, n, step) for n in A.shape)

    def binned(operation: np.ufunc, cells: np.ndarray) -> np.ndarray:
        return operation.reduceat(operation.reduceat(cells, rows, 0), columns, 1)

    values = binned(np.maximum, A) if how == "max" else binned(np.add, A) / binned(np.add, np.ones_like(A))
    return values, ~binned(np.logical_or, allowed)


def whole(record, head: int, level: int, how: str) -> tuple[np.ndarray, np.ndarray]:
    """All strips of a level put together."""
    rows = math.ceil(record.queries / (tiles.SIDE << level))
    strips = [tiles.strip(record, head, level, row, how) for row in range(rows)]
    assert all(strip.values.shape[0] <= tiles.SIDE for strip in strips)
    return (np.concatenate([getattr(strip, name).numpy() for strip in strips]) for name in ("values", "masked"))


@pytest.mark.parametrize("how", ["max", "mean"])
@pytest.mark.parametrize("n", [1, 5, 37, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_every_level_is_the_pooled_head(kind: str, n: int, how: str, monkeypatch) -> None:
    monkeypatch.setattr(tiles, "SIDE", 16)
    record = KINDS[kind](n, dtype=torch.float32)
    A, allowed = weights(record, 1), record.allowed().numpy()
    for level in range(tiles.depth(record.queries, record.keys) + 1):
        values, masked = whole(record, 1, level, how)
        expected, closed = brute(A, allowed, level, how)
        np.testing.assert_allclose(values, expected, atol=bounds.WEIGHT, rtol=0)
        np.testing.assert_array_equal(masked, closed)


def test_the_top_level_is_one_tile() -> None:
    assert [tiles.depth(n, 7) for n in (1, 256, 257, 512, 513, 16_384)] == [0, 0, 1, 1, 2, 6]
    assert tiles.depth(3, 1000) == 2


def test_bytes_are_rounded_weights_and_masked_is_masked(translator) -> None:
    record = translator.trace("I like cats", language="zh").record("decoder.0.self")
    found = tiles.strip(record, 2, 0, 0)
    packed = found.packed().numpy()
    A, allowed = record.weights(2, dtype=torch.float64).numpy(), record.allowed().numpy()
    assert (packed[~allowed] == tiles.MASKED).all() and (packed[allowed] <= tiles.STEPS).all()
    assert np.abs(packed[allowed] / tiles.STEPS - A[allowed]).max() <= 0.5 / tiles.STEPS + bounds.WEIGHT


def test_what_is_not_there_is_said(translator) -> None:
    record = translator.trace("I like cats", language="zh").record("decoder.0.self")
    for level, row, head in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 4)):
        with pytest.raises(OutOfRange):
            tiles.strip(record, head, level, row)
    with pytest.raises(UnknownOption):
        tiles.strip(record, 0, 0, 0, "median")
