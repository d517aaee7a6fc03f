"""The positions page: every kind, and the numbers of its figures after each control."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import load_file

from tests import bounds
from tests.app.acting import pick
from tests.app.visit import Visit
from tests.model import naive
from viz.base import numbers
from viz.ui.positions.page import KINDS

TEXT = "the cat sat on the mat"


def kind(seen: Visit, name: str) -> Visit:
    return seen.set("positions", name)


def slide(seen: Visit, name: str, value: int) -> Visit:
    seen.at.slider(key=f"positions-{name}").set_value(value)
    seen.at.run()
    return seen


def values(seen: Visit, name: str) -> np.ndarray:
    return seen.figure(f"positions-{name}")[1]["values"]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_kind_renders_on_a_shipped_model(visit, name: str, language: str) -> None:
    kind(visit("positions", text=TEXT, lang=language), name).sound()


def test_the_sinusoidal_table_follows_its_controls(visit) -> None:
    seen = visit("positions", text=TEXT).sound()
    bounds.close(values(seen, "table"), naive.sinusoid(50, 128), 128)  # as wide as the model's own
    seen = slide(slide(seen, "length", 20), "width", 16).sound()
    want = naive.sinusoid(20, 16)
    bounds.close(values(seen, "table"), want, 64)
    bounds.close(values(seen, "products"), want @ want.T, 64)
    assert seen.figure("positions-products")[0]["scale"] == {"kind": "diverging", "low": -8.0, "high": 8.0}
    seen.at.select_slider(key="positions-base").set_value(10)
    seen.at.run()
    assert seen.figure("positions-products")[0]["scale"] == {"kind": "diverging", "low": -8.0, "high": 8.0}
    k, i = np.arange(20)[:, None], np.arange(8)[None]
    bounds.close(values(seen.sound(), "table")[:, 0::2], np.sin(k / 10 ** (2 * i / 16)), 64)


def test_a_click_in_the_table_chooses_the_pair_that_turns(visit) -> None:
    seen = pick(visit("positions", text=TEXT), "positions-table", {"row": 7, "column": 5}).sound()
    assert (seen.at.slider(key="positions-k").value, seen.at.slider(key="positions-pair").value) == (7, 2)
    assert seen.at.multiselect(key="positions-dims").value == [5]  # its wave, and how long it is
    waves = 2 * np.pi * 10000.0 ** (2 * (np.arange(128) // 2) / 128)
    header, _ = seen.figure("positions-table")
    np.testing.assert_allclose(header["curve"], waves, rtol=1e-12)
    assert header["selection"] == {"row": 7, "column": 5} and numbers.short(waves[5]) in header["notes"][5]
    assert f"**{numbers.short(waves[5])}**" in " ".join(text.value for text in seen.at.markdown)
    np.testing.assert_allclose(seen.at.dataframe[0].value["wave"], waves[::2], rtol=1e-12)
    seen = slide(seen, "shift", 4).sound()
    w = 10000 ** (-4 / 128)
    formulas = " ".join(formula.value for formula in seen.at.latex)
    for number in (np.cos(4 * w), np.sin(7 * w), np.cos(11 * w)):
        assert f"{number:.3f}".rstrip("0")[:5] in formulas or f"{number:.2f}" in formulas


def test_the_sum_is_the_recorded_one(visit, translator) -> None:
    seen = slide(visit("positions", text=TEXT), "first_dim", 16).sound()
    trace = translator.trace(TEXT, language="zh")
    _, arrays = seen.figure("positions-sum")
    for symbol, name in (("E", "embedding"), ("PE", "positions"), ("X", "input")):
        np.testing.assert_array_equal(arrays[symbol], trace.activation(f"encoder.{name}").numpy()[:, 16:40])


@pytest.mark.parametrize("order", ["reversed", "shifted", "swapped"])
def test_without_positions_the_attention_goes_with_the_words(visit, order: str) -> None:
    seen = kind(visit("positions", text=TEXT, site="encoder.1.self", head=2), "none")
    seen = seen.set("positions-order", order).sound()
    n = 6
    goes = {"reversed": [5, 4, 3, 2, 1, 0], "shifted": [5, 0, 1, 2, 3, 4], "swapped": [1, 0, 2, 3, 4, 5]}[order]
    plain, moved = values(seen, "plain-without"), values(seen, "shuffled-without")
    assert plain.shape == (n, n)
    np.testing.assert_allclose(moved, plain[np.ix_(goes, goes)], atol=bounds.WEIGHT)
    plain, moved = values(seen, "plain-with"), values(seen, "shuffled-with")
    assert np.abs(moved - plain[np.ix_(goes, goes)]).max() > 0.01


def test_the_plain_attention_is_the_runs(visit, translator) -> None:
    seen = kind(visit("positions", text=TEXT, site="encoder.0.self", head=1), "none").sound()
    want = translator.trace(TEXT, language="zh").weights("encoder.0.self", 1).numpy()
    np.testing.assert_allclose(values(seen, "plain-with"), want, atol=bounds.WEIGHT)


def test_relative_offsets_are_clipped(visit) -> None:
    seen = slide(kind(visit("positions", text=TEXT), "relative"), "distance", 2).sound()
    want = [[max(-2, min(2, j - i)) for j in range(6)] for i in range(6)]
    np.testing.assert_array_equal(values(seen, "offsets"), want)


def test_rotary_depends_on_the_offset_only(visit) -> None:
    seen = kind(visit("positions", text=TEXT), "rotary").sound()
    table = values(seen, "places")
    for offset in range(-23, 24):
        assert np.ptp(table.diagonal(offset)) < 1e-4
    _, arrays = seen.figure("positions-turned-q")
    bounds.close(arrays["q"], naive.rotate(arrays["q'"][None].astype(np.float64))[0], 64)


@pytest.mark.parametrize(
    ("model", "own"), [("bert", "learned"), ("gpt2", "learned"), ("llama", "rotary"), ("t5", "t5")]
)
def test_a_checkpoints_own_kind_is_shown_first(visit, models, model: str, own: str) -> None:
    seen = visit("positions", model=model, text="the dog jumps over the cat").sound()
    assert seen.at.session_state["positions-en"] == own
    assert not seen.at.info
    assert not any(":red[" in caption.value for caption in seen.at.caption)
    seen = kind(seen, "none").sound()
    assert [info.value for info in seen.at.info] == [seen.say("positions.without_none")]


def chart(seen: Visit, number: int = 0) -> list[dict]:
    """The rows of the page's altair chart."""
    data = seen.at.get("vega_lite_chart")[number].proto.datasets[0].data.data
    return pa.ipc.open_stream(data).read_pandas().to_dict("records")


def test_t5s_buckets_follow_their_controls(visit) -> None:
    seen = kind(visit("positions", text=TEXT), "t5")
    for name, value in (("buckets", 16), ("furthest", 64)):
        seen = slide(seen, name, value)
    found = {row["offset"]: row["bucket"] for row in chart(seen.sound())}
    assert (found[0], found[-3], found[-80], found[3], found[80]) == (0, 3, 7, 11, 15)
    seen.at.toggle(key="positions-both").set_value(False)
    seen.at.run()
    found = {row["offset"]: row["bucket"] for row in chart(seen.sound())}
    assert (found[5], found[0], found[-7], found[-80]) == (0, 0, 7, 15)


def test_alibis_lines_follow_the_number_of_heads(visit) -> None:
    seen = slide(kind(visit("positions", text=TEXT), "alibi"), "heads", 5).sound()
    found = {(row["head"], row["offset"]): row["value"] for row in chart(seen)}
    for head, slope in enumerate(naive.slopes(5)):
        assert found[f"head {head}", 7] == pytest.approx(-7 * slope)


def test_the_chosen_dimensions_are_the_curves(visit) -> None:
    seen = visit("positions", text=TEXT)
    seen.at.multiselect(key="positions-dims").set_value([3, 20])
    seen.at.run()
    found = {(row["dimension"], row["position"]): row["value"] for row in chart(seen.sound())}
    want = naive.sinusoid(50, 128)
    assert found["dimension 3", 9] == pytest.approx(want[9, 3])
    assert found["dimension 20", 40] == pytest.approx(want[40, 20])
    assert len(found) == 100


def test_the_pair_that_turns_is_the_chosen_one(visit) -> None:
    seen = kind(visit("positions", text=TEXT), "rotary")
    seen.at.slider(key="positions-rotary-pair@translate").set_value(4)
    seen.at.run()
    said = seen.say("positions.plane_sentence", a=8, b=9, angle="0.1")[:18]
    assert any(caption.value.startswith(said) for caption in seen.sound().at.caption)


def test_a_learned_table_is_the_checkpoints(visit, models) -> None:
    seen = slide(visit("positions", model="bert", text="the dog jumps over the cat"), "shown", 20).sound()
    table = load_file(models / "bert" / "model.safetensors")["bert.embeddings.position_embeddings.weight"].numpy()[:20]
    np.testing.assert_array_equal(values(seen, "learned"), table)
    bounds.close(values(seen, "products"), table @ table.T, 64)


@pytest.mark.parametrize("name, control", [("sinusoidal", "surface"), ("rotary", "helix")])
def test_spaces_come_when_asked_for(visit, monkeypatch, name: str, control: str) -> None:
    with monkeypatch.context() as closed:
        closed.setitem(sys.modules, "plotly.graph_objects", None)  # importing it would fail
        assert not visit("positions", text=TEXT, tab=f"positions.{name}").sound().at.get("plotly_chart")
    seen = visit("positions", text=TEXT, tab=f"positions.{name}", set=f"positions-{control}.1").sound()
    parts = json.loads(seen.at.get("plotly_chart")[0].proto.spec)["data"]
    assert [part["type"] for part in parts] == (["surface"] if control == "surface" else ["scatter3d"] * 3)
    if control == "helix":
        assert parts[2]["text"][:3] == ["0: <\u2060zh>", "1: 猫", "2: 坐"]
