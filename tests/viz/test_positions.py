"""The pictures of positions hold the numbers they were given."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from model import Trace
from model.positions.rotary import rotate
from model.positions.tables import recorded_sum, rotated
from model.trace.site import Site
from model.transformer.positions import sinusoidal
from viz import pair_plane, positions
from viz.base import tokens
from viz.base.cell_states import CLIPPED, PLAIN
from viz.base.payload import unpack


def data(chart) -> list[dict]:
    """All rows of a chart's tables."""
    return [row for table in chart.to_dict()["datasets"].values() for row in table]


def test_a_grid_holds_its_values_and_marks_what_is_beyond(words):
    values = np.array([[-3.0, 0.5], [0.0, 2.0]])
    scale = {"kind": "diverging", "low": -2.0, "high": 2.0}
    header, arrays = unpack(
        positions.grid_frame(values, positions.numbered(2, -1), positions.numbered(2), words, scale, (1, 0))
    )
    np.testing.assert_array_equal(arrays["values"], values.astype(np.float32))
    assert arrays["state"].tolist() == [[CLIPPED, PLAIN], [PLAIN, PLAIN]]
    assert [label["text"] for label in header["rows"]] == ["-1", "0"]
    assert header["selection"] == {"row": 1, "column": 0}


def test_a_diverging_scale_is_symmetric_and_never_empty():
    assert positions.diverging(np.array([1.0, -4.0, np.nan])) == {"kind": "diverging", "low": -4.0, "high": 4.0}
    assert positions.diverging(np.zeros((2, 2)))["high"] == 1.0


def test_the_sum_shows_the_dimensions_that_are_asked_for(trace: Trace, words):
    found = recorded_sum(trace, "encoder")
    header, arrays = unpack(positions.sum_frame(found, tokens.labels(trace, "encoder"), words, slice(4, 12)))
    for symbol, values in (("E", found.embedding), ("PE", found.positions), ("X", found.total)):
        np.testing.assert_array_equal(arrays[symbol], values.numpy()[:, 4:12])
    operators = [item["operator"] for item in header["items"] if "operator" in item]
    assert operators == ["+", "="]
    assert len({json.dumps(item["scale"]) for item in header["items"] if "matrix" in item}) == 1


def test_curves_and_the_circle_are_the_tables(words):
    table = sinusoidal(12, 8, dtype=torch.float64).numpy()
    rows = data(positions.curves(table, [1, 6], type(words)(words, dimension="{i}")))
    assert {(row["dimension"], row["position"]): row["value"] for row in rows} == {
        (str(i), k): table[k, i] for i in (1, 6) for k in range(12)
    }
    chart = positions.circle(rotated(8, 2, 3, 1), table[:, 2:4], 2, 3, words)
    tips = {row["name"]: (row["y"], row["x"]) for row in data(chart) if "name" in row and "end" not in row}
    np.testing.assert_allclose(tips["PE(5)"], table[5, 2:4], atol=1e-12)


@pytest.mark.parametrize(("heads", "reach"), [(4, 20), (16, 300), (64, 500)])
def test_bias_lines_stay_below_the_limit(heads: int, reach: int, words):
    offsets = np.arange(-reach, reach + 1)
    values = -np.arange(1, heads + 1)[:, None] * np.abs(offsets)
    rows = data(positions.bias_lines(offsets, values, 1, words))
    assert len(rows) <= positions.MOST_MARKS
    assert all(row["value"] == -(int(row["head"].split()[1]) + 1) * abs(row["offset"]) for row in rows)
    assert {row["head"] for row in rows if row["chosen"]} == {"head 1"}


def test_the_pair_plane_and_the_offsets(trace: Trace, words):
    found = rotate(trace, Site.parse("encoder.0.self"), 0)
    before, after = pair_plane.pair_of(found, 1, "k")
    np.testing.assert_array_equal(before, found.k[:, 2:4].numpy())
    labels = tokens.labels(trace, "encoder")
    chart, untold = pair_plane.drawn(before, after, labels, (2, 3), words, "k")
    ends = [row for row in data(chart) if row.get("end") == 1 and row["kind"] == words["after"]]
    np.testing.assert_allclose([(row["x"], row["y"]) for row in ends], after)
    assert [row["position"] for row in ends] == list(range(len(labels)))
    colours = [layer["encoding"]["color"] for layer in chart.to_dict()["layer"][:2]]
    assert all(c["field"] == "position" and c["scale"]["domain"] == [0, len(labels) - 1] for c in colours)
    named = [row["word"] for layer in chart.layer[2:] for row in layer.data.to_dict("records")]
    assert len(named) == 2 * len(set(named)) and len(set(named)) == len(labels) - untold  # each on a ground of its own
    rows = data(positions.by_offset_chart(np.eye(3), np.arange(-2, 3), np.zeros(5), words))
    assert sorted(row["offset"] for row in rows if row["value"] == 1.0) == [0, 0, 0]


def test_labels_stand_where_they_have_room():
    tips = np.array([[0.5, 0.5], [0.52, 0.5], [0.5, -0.5], [-0.5, 0.5], [-0.9, -0.9], [0.98, 0.0]])
    names = ["0: a", "1: b", "2: c", "3: d", "4: " + "long " * 12, "5: 一二三四五六七"]
    assert pair_plane.with_room(tips, names).tolist() == [False, True, True, True, False, False]
    assert pair_plane.with_room(np.zeros((1, 2)), ["0: a"]).all()
    spread = np.stack([np.cos(np.linspace(0, 6, 12)), np.sin(np.linspace(0, 6, 12))], 1) * 0.9
    assert pair_plane.with_room(spread, [f"{i}: word" for i in range(12)]).sum() >= 10


def test_bucket_steps_and_turned_frames(words):
    rows = data(positions.bucket_steps(np.arange(-2, 3), np.array([2, 1, 0, 5, 6]), words))
    assert [row["bucket"] for row in rows] == [2, 1, 0, 5, 6]
    header, arrays = unpack(
        positions.rotation_frame("q", np.ones((2, 4)), np.zeros((2, 4)), positions.numbered(2), words)
    )
    assert arrays["q'"].sum() == 8 and arrays["q"].sum() == 0
    assert header["link"]["result"] == "q"
