"""The joint frame: three blocks with their labels, and the chart for a file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace
from model.attention import joint_matrix
from model.trace.site import Site
from tests import bounds
from viz.base.cell_states import MASKED
from viz.base.payload import unpack
from viz.heads import joint_matrix as pictures

pytestmark = pytest.mark.float32

SITE = Site.parse("decoder.1.cross")


def made(trace: Trace) -> dict:
    return joint_matrix.encoder_decoder_matrix(trace, joint_matrix.heads_of_blocks(trace, (SITE, 1)))


def test_a_frame_holds_the_three_blocks(trace: Trace, words: dict):
    parts = made(trace)
    titles = {kind: f"title of {kind}" for kind in parts}
    header, arrays = unpack(pictures.joint_frame(trace, parts, (SITE, 2, 1), titles, 1.0, "weight", words))
    assert header["selection"] == {"block": "cross", "row": 2, "column": 1}
    for block in header["blocks"]:
        kind = block["name"]
        record = trace.record(parts[kind].site)
        exact = record.weights(1, dtype=torch.float64).numpy()
        np.testing.assert_allclose(arrays[kind], exact, atol=bounds.WEIGHT, rtol=0)
        assert ((arrays[f"{kind}_state"] == MASKED) == ~record.allowed().numpy()).all()
        assert (len(block["rows"]), len(block["columns"])) == exact.shape
        assert block["title"] == titles[kind] and not block["pooled"]
        assert (block["row_side"], block["column_side"]) == (parts[kind].site.query_side, parts[kind].site.key_side)


def test_bins_are_named_by_their_places(trace: Trace, words: dict, monkeypatch):
    monkeypatch.setattr(joint_matrix, "CELLS", 4)
    monkeypatch.setattr(joint_matrix, "BINS", 3)
    parts = made(trace)
    header, arrays = unpack(
        pictures.joint_frame(trace, parts, (SITE, 3, 4), dict.fromkeys(parts, ""), 1.0, "weight", words)
    )
    step = parts["cross"].step
    assert header["selection"] == {"block": "cross", "row": 3 // step[0], "column": 4 // step[1]}
    for block in header["blocks"]:
        assert block["pooled"] and (len(block["rows"]), len(block["columns"])) == arrays[block["name"]].shape
        assert block["rows"][0]["text"] == f"0–{parts[block['name']].step[0] - 1}"


def test_the_chart_has_every_cell_and_marks_what_is_never_attended(trace: Trace):
    chart = pictures.static(trace, made(trace), 1.0, ("q", "k", "w"))
    rows = max(chart.to_dict()["datasets"].values(), key=len)  # others are of written numbers
    n, m = len(trace.tokens("encoder")), len(trace.tokens("decoder"))
    signs = {(row["i"], row["j"]): row["sign"] for row in rows}
    assert len(signs) == (n + m) ** 2 and (signs[0, n], signs[n, 0]) == ("×", "")
