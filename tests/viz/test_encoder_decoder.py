"""The pictures of the encoder–decoder hold the numbers of the run, and say what they are."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from base64 import b64decode

import numpy as np
import pytest

from model import Trace, open_model
from model.measures.cross_alignment import Gold, crosses, shifted, three_rows
from tests import bounds
from tests.viz.conftest import Words
from viz import encoder_decoder
from viz.base import svg

pytestmark = pytest.mark.float32


@pytest.fixture
def names(words: Words) -> Words:
    words.update(times="{n} layers", alt="{layers} {decoder_layers} {n} {m} {q} {k} {v}")
    return words


def said(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter() if element.tag.endswith("text")]


def test_the_drawing_says_the_shapes_of_this_run(trace: Trace, names: Words) -> None:
    record = trace.record(crosses(trace)[1])
    picture = encoder_decoder.architecture(trace, record, names)
    n, m = len(trace.tokens("encoder")), len(trace.tokens("decoder"))
    for wanted in (
        f"K = Z W_K [4 × {n} × 4]",
        f"V = Z W_V [4 × {n} × 4]",
        f"Q [4 × {m} × 4]",
        f"memory Z [{n} × 16]",
        f"n = {n}",
        f"m = {m}",
    ):
        assert wanted in said(picture)
    assert said(picture).count("2 layers") == 2 and said(picture).count("add_norm") == 5


def test_the_drawing_of_a_library_model_claims_no_norms(trace: Trace, names: Words) -> None:
    record = trace.record(crosses(trace)[0])
    kept = {name: record.store[name] for name in record.store.names() if not name.endswith("residual")}
    bare = type(record)(record.site, record.scale, record.mask, type(record.store)(kept))
    assert "add_norm" not in said(encoder_decoder.architecture(trace, bare, names))


def test_the_strip_shows_both_sequences_one_place_apart(trace: Trace, names: Words) -> None:
    rows = shifted(trace)
    texts = said(encoder_decoder.shift_strip(rows, 2, names))
    for row in rows:
        assert row.read in texts and row.written in texts
    table = encoder_decoder.shift_table(rows, names)
    assert list(table["read"])[1:] == list(table["written"])[:-1] == trace.tokens("decoder")[1:]
    assert list(table["probability"]) == [row.probability for row in rows]


def test_what_is_typed_cannot_become_markup(names: Words) -> None:
    from model.measures.cross_alignment import Shifted

    picture = encoder_decoder.shift_strip([Shifted(0, "<script>", '"&', 0.5, "")], 0, names)
    assert "<script>" not in picture and "<script>" in said(picture)


def test_an_image_has_its_alternative_text_and_the_themes_ink(trace: Trace, names: Words) -> None:
    picture = encoder_decoder.shift_strip(shifted(trace), 0, names)
    html = svg.image(picture, "dark", scrolls=True)
    inside = b64decode(html.split("base64,")[1].split('"')[0]).decode()
    assert 'alt="{layers}' in html and "overflow-x" in html and "<svg" not in html
    assert "#e8e6e1" in inside and "currentColor" not in inside
    assert svg.png(picture)[:4] == b"\x89PNG"


def test_the_bars_are_the_weights_and_masked_keys_are_marked(trace: Trace) -> None:
    own = three_rows(trace, 0, 1, 1)[0]
    table = encoder_decoder.row_table(trace, own)
    np.testing.assert_allclose(table["weight"], own.weights.numpy(), atol=bounds.WEIGHT)
    assert list(table["masked"]) == [j > 1 for j in range(len(table))]
    chart = encoder_decoder.row_bars(table, encoder_decoder.DECODER, "told").to_dict()
    (data,) = chart["datasets"].values()
    assert [row["said"] == "×" for row in data] == list(table["masked"])
    assert chart["description"] == "told"


def test_of_many_keys_the_strongest_and_the_rest(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_decoder, "_SHOWN", 3)
    cross = three_rows(trace, 0, 1, 1)[1]
    table = encoder_decoder.row_table(trace, cross)
    assert list(table["key"])[:-1] == sorted(np.argsort(-cross.weights.numpy())[:3])
    assert table["token"].iloc[-1] == f"+ {len(cross.weights) - 3}"
    assert table["weight"].sum() == pytest.approx(1, abs=bounds.WEIGHT)


def test_the_alignment_marks_gold_and_the_strongest(names: Words) -> None:
    weights = np.array([[0.2, 0.8], [0.9, 0.1]], np.float32)
    gold = Gold(((0,), (1,), (0, 1)))
    for theme in ("light", "dark"):
        chart = encoder_decoder.alignment(weights, ["a", "b"], ["x", "y"], gold, 1, names, theme)
        marks = chart.layer[1].data.to_dict("records")
        assert [(m["i"], m["j"]) for m in marks if m["kind"] == "strongest"] == [(0, 1), (1, 0)]
        assert [(m["i"], m["j"]) for m in marks if m["kind"] == "gold"] == [(0, 1), (1, 0), (1, 1)]
        np.testing.assert_allclose(chart.layer[0].layer[0].data["value"], weights.ravel())


def test_a_window_of_a_long_target() -> None:
    assert encoder_decoder.alignment_window(10, 9) == slice(0, 10)
    assert encoder_decoder.alignment_window(200, 199) == slice(136, 200)
    assert encoder_decoder.alignment_window(200, 100) == slice(68, 132)


def test_the_charts_can_be_saved(trace: Trace, names: Words) -> None:
    import altair as alt

    from viz.base import static_chart

    tables = [encoder_decoder.row_table(trace, look) for look in three_rows(trace, 1, 0, 2)]
    bars = [encoder_decoder.row_bars(table, encoder_decoder.CROSS, "") for table in tables]
    assert b"<svg" in static_chart.svg(alt.hconcat(*[chart.properties(width=200) for chart in bars]))
    weights = trace.weights(crosses(trace)[0], 0).numpy()
    rows, columns = (list(map(str, range(n))) for n in weights.shape)
    picture = static_chart.svg(
        encoder_decoder.alignment(weights, rows, columns, Gold(((1,),)), 0, names, "light")
    ).decode()
    assert "strongest" in picture and "gold" in picture


def test_the_architecture_names_whole_tokens() -> None:
    trace = open_model("translate").trace("seven old teachers gave her two small black cats", language="fr")
    shown = encoder_decoder._preview(trace, "encoder")
    assert shown.endswith(" …") and len(shown) <= 30
    assert shown.removesuffix(" …").split(" ") == list(trace.tokens("encoder"))[: shown.count(" ")]
