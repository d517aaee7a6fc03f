"""Heads in the plane and in their matrix: which have names, that no name covers another or a dot, and where layers part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.compare.heads import PairwiseSimilarity
from model.trace.site import Site
from tests import bounds
from viz.base import numbers, static_chart
from viz.compare import heads as compare_charts
from viz.compare import plane as comparing_plane
from viz.compare.plane import FEW, NEAREST, SIDE, named, plane, wanted
from viz.plotly_figures import plane as looped

pytestmark = pytest.mark.float32

WORDS = {
    "head": "head",
    "layer": "layer",
    "alike": "r with {head}",
    "alt": "plane",
    "row": "head",
    "column": "head",
    "tick": "L{layer}",
}


def group(layers: int, heads: int) -> tuple[PairwiseSimilarity, np.ndarray]:
    """Random places, and heads as unlike as they are far apart."""
    names = tuple((Site("decoder", layer, "self"), head) for layer in range(layers) for head in range(heads))
    places = np.random.default_rng(3).normal(size=(len(names), 2)) * [0.4, 0.1]
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    values = torch.tensor(1 - 2 * (apart / apart.max()) ** 2)
    return PairwiseSimilarity(names, "correlation", values), places


def boxes(names, texts, points) -> np.ndarray:
    half = np.array([len(texts[name.head]) * comparing_plane._LETTER / 2 for name in names])
    middle = np.array([points[name.head] + [name.dx, name.dy] for name in names])
    tall = comparing_plane._HIGH / 2
    return np.stack([middle[:, 0] - half, middle[:, 1] - tall, middle[:, 0] + half, middle[:, 1] + tall], 1)


@pytest.mark.parametrize("count", [1, 8, 270])
def test_no_name_covers_another_or_a_dot(count: int) -> None:
    points = np.random.default_rng(1).uniform(0, SIDE, size=(count, 2))
    texts = [f"{i // 9}.{i % 9}" for i in range(count)]
    found = named(range(count), texts, points)
    drawn = boxes(found, texts, points)
    assert found and drawn.min() >= 0 and drawn.max() <= SIDE
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert not ((points > one[:2]) & (points < one[2:])).all(1).any()


def test_who_must_have_a_name_has_one_in_a_crowd() -> None:
    crowd = np.random.default_rng(2).uniform(150, 280, size=(4000, 2))
    texts = ["12.3"] * len(crowd)
    inner = np.flatnonzero((np.abs(crowd - 215) < 30).all(1)).tolist()
    assert named(inner, texts, crowd) == []
    assert [name.head for name in named(inner, texts, crowd, must=1)] == inner[:1]


def test_the_selected_its_likes_and_the_outermost_come_first() -> None:
    found, places = group(30, 9)
    order = wanted(found, places, [("decoder.5.self", 2), ("decoder.40.self", 1)], 17)
    like = np.argsort(-found.values[17].numpy(), kind="stable")[: NEAREST + 1]
    assert order[:2] == [17, 47] and set(like) <= set(order)
    outermost = {int(f(places[:, axis])) for f in (np.argmin, np.argmax) for axis in (0, 1)}
    assert outermost <= set(order) and len(order) <= 2 + NEAREST + 4
    few, near = group(6, 4)
    assert len(few.heads) <= FEW and sorted(wanted(few, near, [], None)) == list(range(24))


def test_the_plane_rings_the_selected_head_and_tells_how_alike_the_others_are() -> None:
    found, places = group(30, 9)
    chart = plane(found, places, [], WORDS, "dark", found.heads[17])
    told = chart.to_dict()
    rows = [told["datasets"][layer["data"]["name"]] for layer in told["layer"]]
    assert (
        len(rows[0]) == 270 and rows[0][17]["alike"] == "1" and [row["id"] for row in rows[1]] == ["decoder.1.self.8"]
    )
    assert "decoder.1.self.8" in {row["id"] for row in rows[-1]} and len(rows[-1]) <= 1 + NEAREST + 4
    one = told["layer"][0]["encoding"]
    spans = [np.diff(one[axis]["scale"]["domain"])[0] for axis in "xy"]
    assert spans[0] == pytest.approx(spans[1])  # a unit is as long across as up
    assert static_chart.svg(plane(found, places, [], WORDS, "light")).startswith(b"<svg")


def test_layers_part_the_matrix_at_any_number_of_heads() -> None:
    from viz.base.payload import unpack

    found, _ = group(30, 9)
    header, arrays = unpack(compare_charts.pairs_frame(found, compare_charts.by_layer(found), WORDS, True))
    assert header["row_breaks"] == header["column_breaks"] == list(range(9, 270, 9))
    assert [tick["text"] for tick in header["ticks"]] == [f"L{layer}" for layer in range(30)]
    assert [tick["at"] for tick in header["ticks"]] == [9 * layer + 4.5 for layer in range(30)]
    bounds.close(arrays["values"], found.values.numpy(), 64, size=1.0)
    clusters, _ = unpack(compare_charts.pairs_frame(found, list(range(270))[::-1], WORDS))
    assert "ticks" not in clusters and clusters["band"] == pytest.approx(
        [layer / 29 for layer in range(29, -1, -1) for _ in range(9)]
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_plane_to_draw_loops_in_has_the_same_dots_and_names(theme: str) -> None:
    heads, places = group(3, 4)
    chosen, marked = heads.heads[5], [("decoder.0.self", 1), ("decoder.2.self", 3)]
    figure = looped.plane(heads, places, marked, WORDS, theme, chosen)
    ring, dots = figure.data
    np.testing.assert_array_equal(np.stack([dots.x, dots.y], 1), places)
    assert list(dots.customdata) == [f"{site}.{head}" for site, head in heads.heads]
    rims = [head for head, wide in zip(dots.customdata, dots.marker.line.width, strict=True) if wide]
    assert rims == ["decoder.0.self.1", "decoder.2.self.3"]
    assert (ring.x[0], ring.y[0]) == tuple(places[5]) and list(dots.marker.color) == [0] * 4 + [1] * 4 + [2] * 4
    for told, value in zip(dots.hovertext, heads.values[5].tolist(), strict=True):
        assert told.endswith(f"r with 1.1 {numbers.short(value)}")
    texts = [compare_charts.short(*head) for head in heads.heads]
    assert {note.text for note in figure.layout.annotations} <= set(texts) and len(figure.layout.annotations) > 6
    for note in figure.layout.annotations:
        assert (note.x, note.y) == tuple(places[texts.index(note.text)])
    spans = [axis.range[1] - axis.range[0] for axis in (figure.layout.xaxis, figure.layout.yaxis)]
    margin = figure.layout.margin
    sides = figure.layout.width - margin.l - margin.r, figure.layout.height - margin.t - margin.b
    assert spans[0] == pytest.approx(spans[1]) and sides == (SIDE, SIDE)  # one unit as long across as up
