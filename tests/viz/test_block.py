"""The pictures of the block hold the numbers they were given, with a legend and a description."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.residual.activations import plane
from model.residual.additions import Addition
from viz import block
from viz.base import static_chart, svg
from viz.base.payload import unpack

X = np.random.default_rng(5).normal(0, 2, (4, 6))
LABELS = [{"text": text, "kind": "word"} for text in ("the", "cat", "the", "it's")]
TEXTS = [label["text"] for label in LABELS]


def data(chart) -> list[dict]:
    """All rows of a chart's tables."""
    return [row for table in chart.to_dict()["datasets"].values() for row in table]


def described(chart, words) -> bool:
    return chart.to_dict()["description"] == words["alt"]


def test_additions_are_lengths_and_cosines(words) -> None:
    before, added = torch.tensor(X), torch.tensor(X[::-1].copy())
    found = [Addition("a", before, added), Addition("b", added, added * 0)]
    table = block.addition_table(found, str.upper)
    lengths = np.linalg.norm(X, axis=1)
    assert list(table["name"]) == ["A", "B"]
    np.testing.assert_allclose(table["comes_in"], lengths.mean(), atol=1e-12, rtol=0)
    np.testing.assert_allclose(table["adds"], [lengths.mean(), 0], atol=1e-12, rtol=0)
    cosines = (X * X[::-1]).sum(1) / lengths / lengths[::-1]
    np.testing.assert_allclose(table["cosine"], [cosines.mean(), 0], atol=1e-12, rtol=0)
    chart = block.addition_chart(table, words)
    rows = data(chart)
    assert {row["line"] for row in rows} == {words["comes_in"], words["adds"]} and described(chart, words)
    said = f"cos {cosines.mean():+.2f}".replace("-", "−")
    assert {row["said"] for row in rows} == {"", said, "cos +0.00"}
    assert static_chart.svg(chart).startswith(b"<svg")


def test_lines_by_depth_and_the_chosen_one(words) -> None:
    chart = block.depth_lines({"a": [1.0, 2.0], "b": [3.0, float("nan")]}, words, at=1)
    rows = data(chart)
    assert [(r["line"], r["depth"], r["value"]) for r in rows if "line" in r] == [
        ("a", 0, 1.0),
        ("a", 1, 2.0),
        ("b", 0, 3.0),
    ]
    assert [r["depth"] for r in rows if "line" not in r] == [1] and described(chart, words)
    alone = block.depth_lines({"a": [1.0, 2.0]}, words).to_dict()
    assert alone["encoding"]["color"]["legend"] is None


def test_matrices_on_one_scale_or_their_own(words) -> None:
    header, arrays = unpack(block.matrices_frame([("x", X), "→", ("y", X * 2)], LABELS, 2, words, column=5))
    first, arrow, second = header["items"]
    np.testing.assert_array_equal(arrays["y"], (X * 2).astype(np.float32))
    assert arrow["operator"] == "→" and first["scale"] == second["scale"] and second["result"] and not first["result"]
    assert first["scale"]["high"] == pytest.approx(np.abs(X).max() * 2)
    assert (first["highlight_row"], second["highlight_column"]) == (2, 5)
    assert first["rows"] == LABELS and second["rows"] is None
    header, _ = unpack(block.matrices_frame([("x", X), ("y", X * 2)], LABELS, 2, words, shared=False))
    assert header["items"][0]["scale"]["high"] == pytest.approx(np.abs(X).max())


def test_units_and_tokens_as_bars(words) -> None:
    chart = block.unit_bars([(7, 2.5), (3, -1.0)], 3, words)
    assert [(r["unit"], r["value"]) for r in data(chart)] == [(7, 2.5), (3, -1.0)] and described(chart, words)
    chart = block.token_bars(X[:, 0], TEXTS, 1, words)
    assert [r["value"] for r in data(chart)] == pytest.approx(list(X[:, 0]))
    svg = static_chart.svg(chart).decode()
    assert svg.count(">the<") == 2 and ">it's<" in svg  # tokens repeat and carry quotes


def test_curves_hold_every_function_and_the_tokens_own_points(words) -> None:
    import pandas as pd

    x = np.linspace(-1, 1, 5)
    points = pd.DataFrame({"pre": [0.5], "post": [0.25]})
    lines = {name: (x, x * k) for k, name in enumerate(("own", "a", "b", "c"))}
    chart = block.curves(points, lines, words)
    rows = data(chart)
    assert {r["line"] for r in rows if "line" in r} == set(lines)
    assert [r["post"] for r in rows if r.get("line") == "b"] == pytest.approx(list(x * 2))
    assert {"pre": 0.5, "post": 0.25} in rows and described(chart, words)
    colours = chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["range"]
    assert len(set(colours)) == 4


def test_quantiles_by_layer(words) -> None:
    table = np.sort(X[:3], 1)[:, [0, 0, 1, 2, 3, 4, 5]]
    rows = data(block.quantile_chart(table, ["l0", "l1", "l2"], words))
    assert [r["layer"] for r in rows] == ["l0", "l1", "l2"]
    np.testing.assert_allclose([[r[f"q{q}"] for q in (0, 5, 25, 50, 75, 95, 100)] for r in rows], table)


def test_points_are_named_while_they_are_few(words) -> None:
    found = plane(torch.tensor(X))
    chart = block.plane_chart(found, TEXTS, 1, words).to_dict()
    assert len(chart["layer"]) == 2
    (rows,) = chart["datasets"].values()
    np.testing.assert_allclose([(r["x"], r["y"]) for r in rows], found.points)
    assert f"{found.share[0]:.0%}" in chart["layer"][0]["encoding"]["x"]["title"]
    many = plane(torch.tensor(np.tile(X, (20, 1))))
    assert len(block.plane_chart(many, TEXTS * 20, 1, words).to_dict()["layer"]) == 1
    assert static_chart.svg(block.plane_chart(plane(torch.zeros(1, 3)), ["a"], 0, words)).startswith(b"<svg")


def test_cosines_from_minus_one_to_one(words) -> None:
    header, arrays = unpack(block.similarity_frame(X[:, :4], LABELS, (1, 1), words))
    (item,) = header["items"]
    assert item["scale"] == {"kind": "diverging", "low": -1, "high": 1}
    np.testing.assert_array_equal(arrays["cos"], X[:, :4].astype(np.float32))


def test_matrices_as_a_file() -> None:
    chart = block.static_maps([("x", X), ("y", np.zeros((200, 300)))], TEXTS * 50)
    tables = [table for table in chart.to_dict()["datasets"].values() if "value" in table[0]]
    assert {24, 48 * 104} <= {len(table) for table in tables}  # of the small one's numbers there are others
    assert "y [:48, :104]" in str(chart.to_dict())
    small = next(table for table in tables if len(table) == 24)
    np.testing.assert_allclose([r["value"] for r in small], X.ravel())
    assert svg.png(static_chart.svg(block.static_maps([("x", X)], TEXTS)).decode()).startswith(b"\x89PNG")
