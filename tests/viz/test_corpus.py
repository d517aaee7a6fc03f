"""The figures of the page Corpus: what their marks say is what was counted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from model.profile.rows import quantiles
from viz import corpus
from viz.base import static_chart, svg

HEADS = [("encoder.0.self", 0), ("encoder.0.self", 1), ("decoder.0.cross", 0), ("decoder.0.cross", 1)]
NAMES = {"encoder.0.self": "encoder 0", "decoder.0.cross": "cross 0"}
WORDS = {name: name for name in ("head", "where", "median", "half", "most", "alt", "value", "texts")}


@pytest.fixture
def values() -> np.ndarray:
    found = np.random.default_rng(0).gamma(2.0, 0.4, (301, 4)).astype(np.float32)
    found[:, 3] = np.nan
    return found


def drawn(chart: object) -> tuple[dict, list[list[dict]]]:
    told = json.loads(static_chart._specification(chart))
    return told, list(told["datasets"].values())


@pytest.mark.parametrize(
    ("measure", "ends", "expected"),
    [
        ("first", (0.1, 0.2), (0.0, 1.0)),
        ("entropy", (0.3, 2.713), (0.0, 3.0)),
        ("mean_distance", (-1.61, 3.0), (-2.0, 3.0)),
        ("mean_distance", (-5.5, -1.0), (-5.5, 0.0)),
        ("rms_distance", (12.0, 87.0), (0.0, 90.0)),
        ("entropy", (np.nan, np.nan), (0.0, 1.0)),
        ("entropy", (0.0, 0.0), (0.0, 1.0)),
    ],
)
def test_the_scale_holds_every_quantile_and_zero(measure: str, ends: tuple, expected: tuple) -> None:
    assert corpus.scale(measure, np.array([[ends[0]], [ends[1]]])) == pytest.approx(expected)


@pytest.mark.parametrize("ends", [(0.0, 2.5), (-1.0, 2.0)])
def test_a_strip_lies_where_its_quantiles_are(values: np.ndarray, ends: tuple[float, float]) -> None:
    found = quantiles(values)
    chart = corpus.strips(found, HEADS, NAMES, ends, HEADS[2], WORDS)
    told, sets = drawn(chart)
    cells, chosen = sorted(sets, key=len, reverse=True)
    assert [(cell["site"], cell["head"]) for cell in cells] == HEADS
    for place, cell in enumerate(cells[:3]):
        inside = [(cell[key] - cell["head"] - corpus._EDGE) / (1 - 2 * corpus._EDGE) for key in "abcde"]
        expected = np.clip((found[:, place] - ends[0]) / (ends[1] - ends[0]), 0, 1)
        np.testing.assert_allclose(inside, expected, atol=1e-9)
        assert cell["left"] < cell["a"] <= cell["b"] <= cell["c"] <= cell["d"] <= cell["e"] < cell["right"]
    assert all(cells[3][key] is None for key in "abcde") and cells[3]["median"] == "NaN"
    assert [(one["site"], one["head"]) for one in chosen] == [HEADS[2]]
    assert told["params"][0]["name"] == "cell" and told["params"][0]["select"]["fields"] == ["site", "head"]
    assert ("zero" in cells[0]) == (ends[0] < 0)


def test_never_more_marks_than_a_page_carries() -> None:
    heads = [(f"decoder.{i}.self", h) for i in range(corpus.MOST // 32) for h in range(32)]
    found = np.tile(np.linspace(-1, 1, 5)[:, None], len(heads))
    told, sets = drawn(corpus.strips(found, heads, {s: s for s, _ in heads}, (-1, 1), heads[0], WORDS))
    assert len(told["layer"]) * max(map(len, sets)) <= 11_200 and len(heads) == corpus.MOST


@pytest.mark.parametrize("scale", [1.0, 1e-6, 3e4])
def test_every_text_is_in_one_bin(values: np.ndarray, scale: float) -> None:
    one = values[:, 0] * scale
    table = corpus.bins(one)
    assert table["count"].sum() == 301 and 1 < len(table) <= 41
    np.testing.assert_allclose(table["high"].to_numpy()[:-1], table["low"].to_numpy()[1:])
    counts = [
        ((one.astype(float) >= low) & (one.astype(float) < high)).sum()
        for low, high in zip(table.low, table.high, strict=True)
    ]
    assert counts[:-1] == table["count"].tolist()[:-1]


@pytest.mark.parametrize("value", [0.0, 1.0, 0.25, -3.0])
def test_texts_that_are_all_alike_have_a_bin(value: float) -> None:
    table = corpus.bins(np.full(7, value, np.float32), share=0 <= value <= 1)
    assert table["count"].sum() == 7 and (table["low"] < table["high"]).all()


def test_the_histogram_counts_and_marks_the_median(values: np.ndarray) -> None:
    _, sets = drawn(corpus.histogram(values[:, 1], WORDS))
    bars, (middle,) = sorted(sets, key=len, reverse=True)
    assert sum(bar["count"] for bar in bars) == 301
    assert middle["low"] == pytest.approx(float(np.median(values[:, 1])))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figures_are_files_too(values: np.ndarray, theme: str) -> None:
    found = quantiles(values)
    strips = corpus.strips(found, HEADS, NAMES, (0.0, 2.0), HEADS[0], WORDS, theme)
    picture = static_chart.svg(static_chart.above(corpus.legend((0.0, 2.0), "nats", WORDS, theme), strips))
    assert b"2 nats" in picture and b"encoder 0" in picture
    assert svg.png(static_chart.svg(corpus.histogram(values[:, 0], WORDS, theme)).decode(), 1)[:4] == b"\x89PNG"
