"""What the page Variants draws: both weights on one scale, their difference, and charts that carry the numbers."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from model import Trace
from model.attention import variants
from model.trace.site import Site
from tests import bounds
from viz.base import static_chart
from viz.base.cell_states import MASKED, PLAIN
from viz.base.payload import unpack
from viz.heads import variants as drawn

pytestmark = pytest.mark.float32

WORDS = dict.fromkeys(
    ("alt", "recorded", "variant", "key", "weight", "unscaled", "scaled", "variance", "largest", "entropy"), "w"
) | {"recorded": "A", "variant": "B", "unscaled": "C", "scaled": "D"}


@pytest.fixture
def found(trace: Trace) -> variants.Comparison:
    single = trace.record("encoder.0.self").select([1], torch.float64)
    return variants.compare(single, variants.windowed(single, 2), slice(1, 4))


def test_the_frame_is_the_variant_minus_the_recorded(trace: Trace, found: variants.Comparison) -> None:
    cuts, site = (slice(1, 4), slice(2, 5)), Site.parse("encoder.0.self")
    header, arrays = unpack(drawn.compare_frame(trace, site, found, cuts, (2, 3), {}))
    np.testing.assert_allclose(arrays["A"], found.before[:, 2:5], atol=bounds.WEIGHT)
    np.testing.assert_allclose(arrays["A'"], found.after[:, 2:5], atol=bounds.WEIGHT)
    np.testing.assert_allclose(arrays["Δ"], arrays["A'"] - arrays["A"], atol=bounds.WEIGHT)
    assert [item["operator"] for item in header["items"] if "operator" in item] == ["−", "="]
    scales = {item["symbol"]: item["scale"] for item in header["items"] if "matrix" in item}
    assert scales["A"] == scales["A'"] == {"kind": "sequential", "low": 0, "high": 1}
    assert scales["Δ"]["kind"] == "diverging" and scales["Δ"]["low"] == -scales["Δ"]["high"]
    state = arrays["A'.state"]
    assert ((state == MASKED) == found.dead_after[:, 2:5].numpy()).all() and (state == PLAIN).any()
    assert all(
        (item["highlight_row"], item["highlight_column"]) == (1, 1) for item in header["items"] if "matrix" in item
    )


def test_every_head_is_drawn_once(trace: Trace) -> None:
    record, cuts = trace.record("decoder.0.cross"), (slice(0, 3), slice(0, 4))
    heads = [record.weights(head, cuts[0]).numpy() for head in range(record.heads)]
    frame = drawn.heads_frame(trace, record.site, heads, ~record.allowed(cuts[0]).numpy(), cuts, (0, 0), {})
    _, arrays = unpack(frame)
    for head, weights in enumerate(heads):
        np.testing.assert_array_equal(arrays[f"A_{head}"], weights[:, :4])


def test_the_picture_and_the_charts_can_be_saved(trace: Trace, found: variants.Comparison) -> None:
    tokens = trace.tokens("encoder")
    many = variants.saturation([1, 16, 64])
    charts = [
        drawn.picture(found, tokens[1:4], tokens, ("queries", "keys")),
        drawn.bars(found, 1, tokens, WORDS),
        drawn.saturation_row(many[1], WORDS),
        drawn.beside(drawn.saturation_curves(many, 16, WORDS)),
    ]
    for chart in charts:
        ElementTree.fromstring(static_chart.svg(chart))


def test_the_bars_and_curves_hold_the_numbers(trace: Trace, found: variants.Comparison) -> None:
    table = drawn.bars(found, 1, trace.tokens("encoder"), WORDS).data
    np.testing.assert_allclose(table[table.line == "A"].weight, found.before[1])
    np.testing.assert_allclose(table[table.line == "B"].weight, found.after[1])
    many = variants.saturation([1, 16, 64])
    curves = drawn.saturation_curves(many, 16, WORDS)
    assert len(curves) == 3
    table = curves[0].layer[0].data if curves[0].data is not curves[0].layer[0].data else curves[0].data
    assert list(table[table.line == "C"].variance) == [one.variance for one in many]
    assert list(table[table.line == "D"].variance) == [one.variance / one.d_k for one in many]


def test_the_changed_part_is_marked_by_more_than_colour() -> None:
    assert r"\underline" in drawn.marked("x") and r"\textcolor" in drawn.marked("x")
    assert drawn.formula("a", "b").count("&=") == 2
