"""The maps of the measures: a cell a head, its value, the scale, and which heads are framed."""

from __future__ import annotations

import math

import pytest

from model.measures import registry
from model.measures.table import COLUMNS
from viz import measures
from viz.base import static_chart
from viz.base.palette import THEMES

pytestmark = pytest.mark.float32

WORDS = {name: name for name in (*COLUMNS, "site", "head", "induction", "low", "high", "n")} | {"alt": "{measure}"}
SHORT = {"encoder_self": "E", "decoder_self": "D", "decoder_cross": "C"}


@pytest.fixture(scope="module")
def trace(translator):
    return translator.trace("I like cats", language="zh")


def drawn(chart) -> list[dict]:
    """The rows of each layer of a chart."""
    said = chart.to_dict()
    return [said["datasets"][layer["data"]["name"]] for layer in said["layer"]]


def test_rows_are_called_by_what_they_are(trace) -> None:
    named = measures.rows(trace, SHORT)
    assert list(named.values()) == ["E1", "E0", "D1", "D0", "C1", "C0"]  # the last layer on top
    assert named["encoder.1.self"] == "E1" and named["decoder.0.cross"] == "C0"


def test_every_head_is_a_cell_with_its_number(trace) -> None:
    table = trace.statistics()
    found = measures.maps(
        table, measures.rows(trace, SHORT), [("decoder.0.self", 1)], WORDS, selected=("encoder.1.self", 2)
    )
    assert (
        set(found) <= {measure.column for measure in registry.DRAWN}
        and "entropy" in found
        and "effective_rank" in found
    )
    for name, chart in found.items():
        cells, framed = drawn(chart)
        told = {(row["site"], row["head"]): row["value"] for row in cells}
        want = {
            (site, head): value
            for site, head, value in zip(table["site"], table["head"], table[name], strict=True)
            if not math.isnan(value)
        }
        assert told == pytest.approx(want)
        frames = {("decoder.0.self", 1): "text", ("encoder.1.self", 2): "accent"}  # picked, and selected
        wanted = {
            f"{site}.{head}": THEMES["light"][ink] for (site, head), ink in frames.items() if (site, head) in want
        }
        assert {row["id"]: row["frame"] for row in framed} == wanted
        low, high = chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["domain"]
        assert low <= min(want.values()) and (max(want.values()) <= high + 1e-6)
        assert (low, high) == (0, 1) if registry.BY_COLUMN[name].share else high > 0
        assert chart.to_dict()["description"] == name


def test_what_can_be_negative_is_symmetric(trace) -> None:
    chart = measures.maps(trace.statistics(), measures.rows(trace, SHORT), [], WORDS)["mean_distance"]
    low, high = chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["domain"]
    assert low == -high


def test_all_maps_are_one_file(trace) -> None:
    found = measures.maps(trace.statistics(), measures.rows(trace, SHORT), [], WORDS)
    assert static_chart.svg(measures.together(found)).startswith(b"<svg")


def test_the_heads_of_most_induction_come_first_with_their_intervals() -> None:
    import pandas as pd

    table = pd.DataFrame({"site": ["a", "a", "a"], "head": [0, 1, 2], "induction": [0.2, 0.9, math.nan],
                          "low": [0.1, 0.8, 0], "high": [0.3, 1.0, 0], "n": 64})  # fmt: skip
    chart = measures.induction_bars(table, {"a": "a {head}"}, WORDS)
    rows = next(iter(chart.to_dict()["datasets"].values()))
    assert [(row["name"], row["induction"], row["low"], row["high"]) for row in rows] == [
        ("a 1", 0.9, 0.8, 1.0), ("a 0", 0.2, 0.1, 0.3)
    ]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_interval_can_be_read_on_its_bar_and_beside_it(theme: str) -> None:
    import pandas as pd

    from viz.base import palette

    def contrast(one: str, other: str) -> float:
        low, high = sorted((palette.luminance(one), palette.luminance(other)))
        return (high + 0.05) / (low + 0.05)

    table = pd.DataFrame({"site": ["a"], "head": [0], "induction": [0.5], "low": [0.4], "high": [0.6], "n": 9})
    bars, halo, span, *caps = measures.induction_bars(table, {"a": "{head}"}, WORDS, theme).to_dict()["layer"]
    colours = [layer["mark"]["color"] for layer in (bars, halo, span)]
    assert all(cap["mark"]["color"] == colours[2] for cap in caps) and len(caps) == 2
    assert halo["mark"]["strokeWidth"] > span["mark"]["strokeWidth"]
    assert contrast(colours[2], colours[1]) >= 7 and max(contrast(c, colours[0]) for c in colours[1:]) >= 3


def test_no_label_is_moved_from_its_row(trace) -> None:
    for chart in measures.maps(trace.statistics(), measures.rows(trace, SHORT), [], WORDS).values():
        for layer in chart.to_dict()["layer"]:
            assert all(layer["encoding"][axis]["axis"]["labelFlush"] is False for axis in "xy")
