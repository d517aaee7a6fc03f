"""The page Measures: its numbers are the run's, and a head picked anywhere is picked here."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df

from model import open_model
from model.measures.registry import DRAWN
from tests import bounds
from tests.app.acting import put
from tests.app.visit import Visit
from viz.ui.language import catalogue
from viz.ui.shared import parallel

TEXT = "I like cats"


@pytest.fixture(scope="module")
def trace():
    return open_model("translate").trace(TEXT, language="zh")


def maps(seen: Visit) -> dict[str, list[dict]]:
    """The cells of each map, by its title."""
    found = {}
    for chart in seen.at.get("vega_lite_chart"):
        spec = json.loads(chart.proto.spec)
        title = spec.get("title", {})
        if isinstance(title, dict) and "layer" in spec:
            found[title["text"]] = spec
    return found


def test_the_table_is_the_runs_statistics(visit, trace) -> None:
    seen = visit("measures", text=TEXT, to="zh").sound()
    shown, want = seen.at.dataframe[0].value, trace.statistics()
    assert list(shown["head"]) == list(want["head"])
    for name in ("entropy", "previous", "first", "mean_distance", "positional_share", "effective_rank"):
        assert shown[name].to_list() == bounds.near(want[name].to_list(), 64, size=[1.0, *want[name]])
    read = convert_arrow_bytes_to_pandas_df(seen.at.dataframe[0].proto.arrow_data.styler.display_values)
    exact = [f"{value:.3f}".replace("-", "−").replace("nan", "–") for value in want["mean_distance"]]
    assert list(read["mean_distance"]) == exact
    assert any(text.startswith("−") for text in read["mean_distance"])
    for role, (_, row) in zip(shown["role"], want.iterrows(), strict=True):
        masses = {n: row[n] for n in ("previous", "next", "diagonal", "first", "special", "induction", "duplicate")}
        known = {n: v for n, v in masses.items() if v >= 0.5}
        best = max(known, key=known.get) if known else None
        assert role == ("" if best is None else f"{seen.say(f'measures.m_{best}')} {known[best]:.2f}")


def test_what_is_measured_is_not_measured_again_for_the_atlas(visit, monkeypatch) -> None:
    text = "the red dog saw a cat"
    visit("measures", text=text, to="zh").sound()
    monkeypatch.setattr("model.measures.head_statistics.trace_statistics", None)
    seen = visit("atlas", text=text, to="zh", tab="atlas_order.entropy").sound()
    assert not np.isnan(seen.figure("atlas")[1]["values"]).any()


def test_the_atlas_measures_less_than_this_page_shows(visit, trace) -> None:
    text = "the red dog saw a mouse"
    visit("atlas", text=text, to="zh").sound()
    shown = visit("measures", text=text, to="zh").sound().at.dataframe[0].value
    assert shown["positional_share"].notna().sum() == 16  # all self-attention


@pytest.mark.parametrize("language", ["en", "zh"])
def test_there_is_a_map_for_every_measure_that_applies(visit, trace, language: str) -> None:
    seen = visit("measures", text=TEXT, to="zh", lang=language).sound()
    table = trace.statistics()
    columns = [measure.column for measure in DRAWN if not table[measure.column].isna().all()]
    wanted = {seen.say(f"measures.m_{name}") for name in columns}
    assert set(maps(seen)) == wanted


def test_picks_are_framed_and_ticked_and_can_be_let_go(visit) -> None:
    seen = visit("measures", text=TEXT, to="zh", picks="decoder.0.self.1,encoder.1.self.2,no.such.9").sound()
    assert any("decoder 0 · self-attention, head 1" in text.value for text in seen.at.markdown)
    assert seen.say("measures.door_compare", n=2) in " ".join(
        str(link.proto.label) for link in seen.at.get("page_link")
    )
    seen.click("measures-unpick").sound()
    assert seen.view.picks == "" and "picks" not in seen.link


def test_induction_needs_a_model_that_reads_one_text(visit) -> None:
    seen = visit("measures", text=TEXT, to="zh").sound()
    assert seen.say("measures.induction_none") in [caption.value for caption in seen.at.caption]


def test_induction_is_measured_when_asked_for(visit, models) -> None:
    seen = visit("measures", model="gpt2", text="the cat sat on the mat").sound()
    assert not any("95 %" in caption.value for caption in seen.at.caption)
    seen.click("measures-induction").sound()
    said = next(caption.value for caption in seen.at.caption if "95 %" in caption.value)
    assert "n = " in said and "seed 0" in said


def test_parallel_coordinates_have_every_head_and_come_when_asked_for(visit, trace, monkeypatch) -> None:
    with monkeypatch.context() as closed:
        closed.setitem(sys.modules, "plotly.graph_objects", None)  # importing it would fail
        seen = visit("measures", text=TEXT, to="zh").sound()
        assert not seen.at.get("plotly_chart")
    seen = visit("measures", text=TEXT, to="zh", set="measures-parallel.1").sound()
    (chart,) = seen.at.get("plotly_chart")
    axes = {axis["name"]: axis for axis in json.loads(chart.proto.spec)["data"][0]["dimensions"]}
    table = trace.statistics()
    assert list(axes) == ["site", *(name for name in table.columns[2:] if not table[name].isna().all())]
    assert axes["site"]["ticktext"] == ["E0", "E1", "D0", "D1", "C0", "C1"]


def brushed(seen) -> dict[str, list]:
    (chart,) = seen.at.get("plotly_chart")
    axes = json.loads(chart.proto.spec)["data"][0]["dimensions"]
    return {axis["name"]: axis["constraintrange"] for axis in axes if axis.get("constraintrange")}


def test_a_link_brings_the_brush_back_with_its_picks(visit) -> None:
    picks = [f"{site}.{head}" for site in ("encoder.1.self", "decoder.0.self") for head in range(4)]
    link = {"text": TEXT, "to": "zh", "set": "measures-parallel.1~measures-brushed.site:0.75:2.25"}
    seen = visit("measures", **link, picks=",".join(picks)).sound()
    assert brushed(seen) == {"site": [0.75, 2.25]} and seen.link["set"] == link["set"]
    kept = seen.say("measures.parallel_kept", n=8, all=24)
    assert kept in [caption.value for caption in seen.at.caption]
    # Heads picked beside it leave it; heads let go take it along, however they were.
    more = visit("measures", **link, picks=",".join([*picks, "encoder.0.self.1"])).sound()
    assert brushed(more) == {"site": [0.75, 2.25]}
    less = visit("measures", **link, picks=",".join(picks[1:])).sound()
    seen.click("measures-unpick").sound()
    for page in (seen, less):
        assert not brushed(page) and page.link["set"] == "measures-parallel.1"
        assert kept not in [caption.value for caption in page.at.caption]


def test_a_brush_of_a_link_is_of_one_table(visit) -> None:
    """Another text's heads have other numbers: there nothing is brushed."""
    link = {"text": TEXT, "to": "zh", "set": "measures-parallel.1~measures-brushed.entropy:0.0:9.0"}
    seen = visit("measures", **link).sound()  # too many to pick
    assert brushed(seen) == {"entropy": [0.0, 9.0]}
    assert not brushed(put(seen, "text_input", "text", "she has a dog").sound())


@pytest.mark.parametrize("text", ["", "entropy", "entropy:a:b", "entropy:0.1", "Entropy:0:1", "entropy:nan:1"])
def test_what_is_no_brush_of_a_link_is_said(visit, text: str) -> None:
    link = "measures-parallel.1" + f"~measures-brushed.{text}" * bool(text)
    seen = visit("measures", text=TEXT, to="zh", set=link)
    assert not brushed(seen)
    told = [warning.value for warning in seen.at.warning if "measures-brushed" in warning.value]
    assert len(told) == bool(text)


@pytest.mark.parametrize(
    "given", [None, 3, "x", [1], [[1]], [["a", None]], [[0, float("nan")]], [[0, 1, 2]], {"a": [0, 1]}]
)
def test_what_is_no_range_is_left_out(given) -> None:
    assert parallel.read(given) == []
    assert parallel.read([[0.5, 1], ["a", 2]]) == [(0.5, 1.0)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_share_that_is_averaged_over_some_queries_says_so(language: str) -> None:
    """Of the previous token the first query has none: its row counts for other shares, and so they do not add up."""
    for column in ("previous", "next", "induction", "duplicate"):
        assert {"en": "over the queries that", "zh": "只算"}[language] in catalogue(language)[f"measures.h_{column}"]
    for key in ("measures.role_help", "measures.maps_what"):
        assert {"en": "do not add up", "zh": "不能相加"}[language] in catalogue(language)[key]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_columns_of_the_table_are_named_alike(visit, lang: str) -> None:
    seen = visit("measures", text="the cat sat", lang=lang).sound()
    labels = [
        column["label"] for column in json.loads(seen.at.dataframe[0].proto.columns).values() if "label" in column
    ]
    assert seen.say("measures.column_head") in labels and labels == [label.lower() for label in labels]
