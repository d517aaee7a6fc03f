"""Thumbnails of long texts: the largest weight of each block, or the share of attention from block to block."""

from __future__ import annotations

import numpy as np
import pytest

from model import open_model
from tests import bounds
from tests.viz.blocks import by_block
from viz.base.axes import block_axis
from viz.base.cell_states import MASKED
from viz.heads import thumbnails

pytestmark = pytest.mark.float32


@pytest.fixture(scope="module", params=[8, 12])
def trace(request: pytest.FixtureRequest):
    """48 words stand alone in a thumbnail, 72 do not."""
    return open_model("translate").trace(" ".join(["the cat sat on the mat"] * request.param), language="zh")


@pytest.mark.parametrize("how", thumbnails.HOW)
def test_blocks_are_of_the_whole_heads_weights(trace, how: str) -> None:
    for record in trace.attention.values():
        axes = (block_axis(record.queries, 48), block_axis(record.keys, 48))
        for head, (picture, state) in enumerate(thumbnails.heads(record, how)):
            A, allowed = record.weights(head).double().numpy(), record.allowed().numpy()
            want, open_ = by_block(A, allowed, axes)
            if how == "mean":
                rows, columns = (list(axis.starts) for axis in axes)
                counts = np.diff([*rows, len(A)])[:, None]
                want = np.add.reduceat(np.add.reduceat(A, columns, 1), rows, 0) / counts
            assert picture.dtype == np.uint8 and picture.shape == want.shape
            np.testing.assert_allclose(picture / 255, want, atol=0.5 / 255 + bounds.WEIGHT)
            assert ((state == MASKED) == ~open_).all()


def test_a_single_bright_cell_survives_as_the_largest_and_not_as_a_share(trace) -> None:
    record = trace.record("encoder.0.self")
    brightest = max(int(picture.max()) for picture, _ in thumbnails.heads(record))
    most = max(float(record.weights(head).max()) for head in range(record.heads))
    assert brightest == round(most * 255)
    assert thumbnails.pooled(record) == (record.queries > 48)


def test_each_is_made_once(trace) -> None:
    record = trace.record("encoder.1.self")
    assert thumbnails.heads(record) is thumbnails.heads(record)
    assert thumbnails.is_made(record) and (thumbnails.heads(record, "mean") is thumbnails.heads(record)) != (
        thumbnails.pooled(record)
    )
