"""The page of the encoder–decoder: its figures are the run's numbers and follow every control."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model import Trace, open_model
from model.measures import cross_alignment
from tests import bounds
from tests.app.visit import Visit

TEXT = "the animal didn't cross the street because it was too tired"


@pytest.fixture(scope="module")
def trace() -> Trace:
    return open_model("translate").trace(TEXT, language="zh")


def charts(seen: Visit) -> list[dict]:
    """Each chart on the page: its specification, with `rows`, the table that it draws, among its entries."""
    import pyarrow as pa

    found = []
    for element in seen.at.get("vega_lite_chart"):
        sets = [pa.ipc.open_stream(named.data.data).read_pandas() for named in element.proto.datasets]
        found.append(json.loads(element.proto.spec) | {"rows": sets})
    return found


def bars(seen: Visit, place: int) -> np.ndarray:
    """The weights of the chart at `place` as it draws them."""
    return charts(seen)[place]["rows"][0]["weight"].to_numpy()


def heat(seen: Visit) -> np.ndarray:
    table = max((rows for rows in charts(seen)[3]["rows"] if "value" in rows), key=len)  # others are of written numbers
    return table["value"].to_numpy().reshape(table["i"].max() + 1, table["j"].max() + 1)


def captions(seen: Visit) -> str:
    return " ".join(caption.value for caption in seen.at.caption)


def check(seen: Visit, trace: Trace, mean: bool = False) -> None:
    """Every figure shows the selected head's numbers."""
    view = seen.view
    layer = int(view.site.split(".")[1])
    for place, look in enumerate(cross_alignment.three_rows(trace, layer, view.head, view.row)):
        np.testing.assert_allclose(bars(seen, place), look.weights.numpy(), atol=bounds.WEIGHT)
    heads = [trace.weights(view.site, head).numpy() for head in range(4)]
    shown = sum(heads) / 4 if mean else heads[view.head]
    np.testing.assert_allclose(heat(seen), shown, atol=bounds.WEIGHT)
    gold = cross_alignment.gold(trace).rows
    hits = sum(int(shown[t].argmax()) in row for t, row in enumerate(gold) if row)
    counted = sum(bool(row) for row in gold)
    share = f"{hits / counted:.0%}"
    assert seen.say("encoder_decoder.agreement", hits=hits, counted=counted, share=share) in captions(seen)


def test_figures_follow_the_controls(visit, trace: Trace) -> None:
    seen = visit("encoder_decoder", text=TEXT).sound()
    assert seen.view.site == "decoder.1.cross"
    check(seen, trace)
    for name, value in (("row", 2), ("layer", 0), ("head", 1), ("row", 9), ("layer", 1)):
        seen.set(f"encoder_decoder-{name}", value).sound()
        check(seen, trace)
        assert seen.view.column == int(trace.row(seen.view.site, seen.view.head, seen.view.row).argmax())
    assert (seen.view.site, seen.view.head, seen.view.row) == ("decoder.1.cross", 1, 9)
    (toggle,) = [widget for widget in seen.at.get("toggle") if widget.key == "encoder_decoder-mean"]
    toggle.set_value(True)
    seen.at.run()
    check(seen.sound(), trace, mean=True)


def test_another_selection_is_taken_over_and_left_alone(visit) -> None:
    seen = visit("encoder_decoder", text="I like cats", site="decoder.0.cross", head=2, q=1, k=1).sound()
    assert (seen.view.site, seen.view.head, seen.view.row) == ("decoder.0.cross", 2, 1)
    seen = visit("encoder_decoder", text="I like cats", site="encoder.0.self", head=2, q=1, k=1).sound()
    assert (seen.view.site, seen.view.head) == ("encoder.0.self", 2)  # nothing was chosen here
    seen.set("encoder_decoder-row", 2).sound()
    assert seen.view.site == "decoder.1.cross" and seen.view.row == 2


def test_the_table_of_rows(visit) -> None:
    seen = visit("encoder_decoder", text="I like cats").sound()
    tables = [element.value for element in seen.at.dataframe]
    (rows,) = [table for table in tables if seen.say("encoder_decoder.read") in table]
    assert list(rows[seen.say("encoder_decoder.read")]) == ["<zh>", "我", "喜欢", "猫"]
    assert list(rows[seen.say("encoder_decoder.written")]) == ["我", "喜欢", "猫", "</s>"]
    assert (rows[seen.say("encoder_decoder.probability")] > 0.9).all()


def test_a_sentence_outside_the_grammar_has_no_gold(visit) -> None:
    seen = visit("encoder_decoder", text="cats cats cats").sound()
    assert seen.say("encoder_decoder.gold_outside") in captions(seen)


def test_dates_in_chinese(visit) -> None:
    pytest.importorskip("babel")
    seen = visit("encoder_decoder", locale="zh-CN", model="dates").sound()
    assert "标准对齐" in captions(seen) and seen.say("encoder_decoder.gold_outside") not in captions(seen)


@pytest.mark.parametrize("name", ["t5", "bart", "whisper", "ours"])
def test_any_encoder_decoder(visit, models: Path, name: str) -> None:
    seen = visit("encoder_decoder", model=name).sound()
    assert len(charts(seen)) == 4
    assert seen.say("encoder_decoder.gold_foreign") in captions(seen)
    assert not seen.at.info


@pytest.mark.parametrize("name", ["bert", "gpt2", "vit", "clip", "xlnet", "trace"])
def test_one_stack_says_what_to_open(visit, models: Path, name: str) -> None:
    seen = visit("encoder_decoder", model=name).sound()
    assert seen.at.info[0].value == seen.say("encoder_decoder.none") and not charts(seen)


def test_a_control_of_one_language_survives_the_other(visit) -> None:
    seen = visit("encoder_decoder", text="I like cats").set("encoder_decoder-row", 1)
    seen.set("ui_language", "zh")
    assert seen.sound().view.row == 1
