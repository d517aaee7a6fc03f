"""The frame of the matrix: the values are the trace's, odd cells are marked as themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace
from model.trace.site import Site
from viz.base.axes import Axis
from viz.base.axes import axes as token_axes
from viz.base.cell_states import CLIPPED, MASKED, NAN, PLAIN, states
from viz.base.payload import unpack
from viz.heads.matrix import matrix_frame

SITES = ["encoder.0.self", "decoder.1.self", "decoder.0.cross"]


def test_states_are_told_apart():
    values = np.array([[0.5, np.nan, 1.2, -0.1], [0.0, 1.0, np.inf, -np.inf], [np.nan, 1 + 1e-7, -1e-7, 2.0]])
    allowed = np.ones_like(values, bool)
    allowed[2, [0, 3]] = False
    want = [[PLAIN, NAN, CLIPPED, CLIPPED], [PLAIN, PLAIN, CLIPPED, CLIPPED], [MASKED, PLAIN, PLAIN, MASKED]]
    assert states(values, allowed).tolist() == want
    assert states(values, None)[2].tolist() == [NAN, PLAIN, PLAIN, CLIPPED]
    assert states(np.array([[-3.0, 3.0, 5.0]]), None, -4, 4).tolist() == [[PLAIN, PLAIN, CLIPPED]]
    assert states(values, allowed).dtype == np.uint8
    assert len({PLAIN, MASKED, NAN, CLIPPED}) == 4


@pytest.mark.parametrize("site", SITES)
def test_a_frame_holds_the_weights(trace: Trace, words: dict, site: str):
    for head in range(4):
        header, arrays = unpack(matrix_frame(trace, Site.parse(site), head, (1, 2), words))
        weights = trace.record(site).weights(head, dtype=torch.float64).numpy().astype(np.float32)
        np.testing.assert_array_equal(arrays["values"], weights)
        assert ((arrays["state"] == MASKED) == ~trace.record(site).allowed().numpy()).all()
        assert set(np.unique(arrays["state"])) <= {PLAIN, MASKED}
        assert (len(header["rows"]), len(header["columns"])) == weights.shape
        assert header["selection"] == {"row": 1, "column": 2}
        assert (header["scale"]["low"], header["scale"]["high"]) == (0, 1)
    sides = header["row_side"], header["column_side"]
    assert sides == (site.split(".")[0], "encoder" if "cross" in site else site.split(".")[0])


def test_without_a_selection_none_is_sent(trace: Trace, words: dict):
    assert unpack(matrix_frame(trace, Site.parse(SITES[0]), 0, None, words))[0]["selection"] is None


def test_a_cell_that_is_several_weights_has_no_arithmetic(trace: Trace, words: dict):
    site = Site.parse(SITES[0])
    single = token_axes(trace, site, (0, 0))
    starts = tuple(range(0, single[0].stop, 2))
    pairs = Axis(starts, single[0].stop, single[0].labels[: len(starts)], single[0].stop)
    assert not pairs.single
    for axes, address in ((single, "there"), ((pairs, pairs), ""), ((single[0], pairs), "")):
        header, _ = unpack(matrix_frame(trace, site, 0, None, words, axes=axes, address="there"))
        assert header["sums"] == address
    small = token_axes(trace, site, (4, 3), size=3)
    assert unpack(matrix_frame(trace, site, 0, None, words, axes=small))[0]["first"] == [3, 2]
