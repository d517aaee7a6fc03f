"""The page Text: a click, the direction, the heads and the colours change the numbers that are sent; lines and joint view too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model import open_model
from model.errors import Stopped
from tests import bounds
from tests.app.acting import pick
from viz.base import numbers
from viz.heads import lines
from viz.ui.text import page as page

TEXT = "the cat sat on the mat"
BOUND = bounds.WEIGHT


@pytest.fixture(scope="module")
def trace():
    return open_model("translate").trace(TEXT, language="zh")


def row(seen) -> tuple[dict, np.ndarray]:
    header, arrays = seen.figure("reading-row")
    return header, arrays["values"]


def press(seen, name: str, value: str):
    return seen.set(name, value).sound()


def test_a_click_asks_from_there_and_only_a_row_is_sent(visit, trace) -> None:
    seen = visit("reading", text=TEXT, site="encoder.1.self", head=2, q=3, k=1, to="zh").sound()
    whole = trace.record("encoder.1.self").weights(2, dtype=torch.float64).numpy()
    header, values = row(seen)
    np.testing.assert_allclose(values, whole[3], atol=BOUND)
    assert (header["mode"], header["index"], header["other"], header["end"]) == ("attends", 3, 1, 1.0)
    before = seen.figure("reading")[0]
    pick(seen, "reading", {"index": 5, "mode": "attends"}, "ask").sound()
    header, values = row(seen)
    np.testing.assert_allclose(values, whole[5], atol=BOUND)
    assert seen.view.row == 5 and seen.view.column == header["other"] == int(whole[5].argmax())
    assert seen.figure("reading")[0] == before  # the text is not sent again
    assert seen.link["q"] == "5" and seen.link["k"] == str(header["other"])
    pick(seen, "reading-row", {"index": 0, "mode": "attends"}, "choose").sound()
    assert (seen.view.row, seen.view.column, row(seen)[0]["other"]) == (5, 0, 0)


def test_who_attends_is_the_column(visit, trace) -> None:
    seen = visit("reading", text=TEXT, site="decoder.1.cross", head=1, q=2, k=4, to="zh").sound()
    whole = trace.record("decoder.1.cross").weights(1, dtype=torch.float64).numpy()
    np.testing.assert_allclose(row(seen)[1], whole[2], atol=BOUND)
    press(seen, "reading_mode", "attended")
    header, values = row(seen)
    np.testing.assert_allclose(values, whole[:, 4], atol=BOUND)
    assert (header["mode"], header["index"], header["side"]) == ("attended", 4, "decoder")
    assert header["told"]["rest"] == seen.say("reading.rest_none", total=numbers.short(float(whole[:, 4].sum()), 4))
    pick(seen, "reading", {"index": 1, "mode": "attended"}, "ask").sound()
    np.testing.assert_allclose(row(seen)[1], whole[:, 1], atol=BOUND)
    assert (seen.view.column, seen.view.row) == (1, int(whole[:, 1].argmax()))
    assert seen.link["tab"] == "reading_mode.attended"


def test_several_heads_are_their_mean_or_their_largest(visit, trace) -> None:
    picks = "encoder.0.self.1,encoder.1.self.3,decoder.0.self.2"
    seen = visit("reading", text=TEXT, site="encoder.1.self", head=2, q=3, k=1, to="zh", picks=picks).sound()
    whole = [trace.record(f"encoder.{layer}.self").weights(head, dtype=torch.float64).numpy()
             for layer, head in ((0, 1), (1, 3))]  # fmt: skip
    press(seen, "reading_heads", "picks")  # the third is between other tokens
    header, values = row(seen)
    np.testing.assert_allclose(values, np.mean([each[3] for each in whole], axis=0), atol=BOUND)
    assert seen.say("reading.legend_of_mean", n=2) in header["told"]["legend"]
    press(seen, "reading_how", "max")
    header, values = row(seen)
    np.testing.assert_allclose(values, np.max([each[3] for each in whole], axis=0), atol=BOUND)
    assert seen.say("reading.legend_of_max", n=2) in header["told"]["legend"]
    press(seen, "reading_heads", "layer")
    record = trace.record("encoder.1.self")
    layer = np.max([record.weights(head, dtype=torch.float64).numpy()[3] for head in range(record.heads)], axis=0)
    np.testing.assert_allclose(row(seen)[1], layer, atol=BOUND)


def test_the_colours_end_where_it_is_said(visit, trace) -> None:
    seen = visit("reading", text=TEXT, site="encoder.1.self", head=2, q=3, k=1, to="zh").sound()
    falling = np.sort(trace.record("encoder.1.self").weights(2).numpy()[3])[::-1]
    for scale, value in (("max", falling[0]), ("second", falling[1])):
        press(seen, "reading_scale", scale)
        end = row(seen)[0]["end"]
        assert value <= end * (1 + 1e-6) and end <= 2.5 * value
        assert f"{end:g}" in row(seen)[0]["told"]["legend"]
    press(seen, "reading_scale", "one")
    assert row(seen)[0]["end"] == 1.0


def test_a_stopped_column_is_said(visit, monkeypatch) -> None:
    seen = visit("reading", text=TEXT, site="encoder.1.self", head=2, q=3, k=1, to="zh").sound()

    def stopped(*args, **kwargs):
        raise Stopped()

    def run(key, *rest, **more):
        return stopped() if key[0] == "reading" else real(key, *rest, **more)

    real = page.jobs.run
    monkeypatch.setattr(page.jobs, "run", run)
    press(seen, "reading_mode", "attended")
    assert seen.say("reading.stopped") in [info.value for info in seen.at.info]


def test_patches_are_no_text(visit, models: Path) -> None:
    pytest.importorskip("transformers")
    seen = visit("reading", model="vit").sound()
    assert "reading" not in seen.figures() and seen.say("reading.no_text") in [info.value for info in seen.at.info]


def test_a_rule_for_the_lines_changes_what_is_asked_for(visit, trace) -> None:
    seen = visit("heads", text=TEXT, site="encoder.1.self", head=2, q=3, k=1, to="zh").sound()
    whole = trace.record("encoder.1.self").weights(2, dtype=torch.float64).numpy()
    from model.attention.top_weights import lines_of_rule

    for rule in (lines.USUAL, "p50", "t10"):
        if rule != lines.USUAL:
            seen.set("lines-rule", rule).sound()
            assert f"lines.{rule}" in seen.link["tab"]
        _, arrays = seen.figure("lines")
        assert (arrays["asked"][2] == lines_of_rule(whole, lines.rule_of(rule))).all()
        np.testing.assert_allclose(arrays["weights"][2], whole, atol=BOUND)


def test_a_long_input_has_lines_over_its_whole_length(visit, models: Path) -> None:
    pytest.importorskip("transformers")
    seen = visit(
        "heads", model="gpt2", text="the cat sat on the mat and the dog " * 6, site="decoder.0.self", head=1
    ).sound()
    header, arrays = seen.figure("lines-far")
    count = len(header["left"])
    assert count > lines.LINES and "lines" not in seen.figures()
    sent = header["words"]["drawn"]
    number = f"{len(arrays['weight']):,}"
    assert sent.startswith(seen.say("lines.drawn", n=number, m="\0", share="\0").split("\0")[0])
    pick(seen, "lines-far", {"row": 70, "column": 3}).sound()
    assert (seen.view.row, seen.view.column) == (70, 3)
    pick(seen, "lines-far", [0, 1], "heads").sound()
    assert set(seen.figure("lines-far")[1]["head"].tolist()) == {0, 1}
    seen.set("lines_part", "near").sound()
    header, arrays = seen.figure("lines")
    assert arrays["weights"].shape[1:] == (lines.LINES, lines.LINES) and header["row_start"] > 0
    seen.set("lines_part", "whole").sound()
    assert "lines-far" in seen.figures()


def test_what_is_drawn_is_told_in_numbers() -> None:
    told = lines.DrawnShare(6000, 7129, 771903, 1151.3, 1242.0)
    assert told.share == pytest.approx(1151.3 / 1242)
    assert lines.DrawnShare(0, 0, 0, 0.0, 0.0).share == 0


def test_the_joint_view_has_three_blocks_and_selects_in_each(visit, trace) -> None:
    seen = visit("heads", text=TEXT, site="decoder.1.cross", head=3, q=2, k=2, to="zh").sound()
    header, arrays = seen.figure("joint")
    assert header["selection"] == {"block": "cross", "row": 2, "column": 2}
    for kind, name in (("encoder", "encoder.1.self"), ("cross", "decoder.1.cross"), ("decoder", "decoder.1.self")):
        exact = trace.record(name).weights(3, dtype=torch.float64).numpy()
        np.testing.assert_allclose(arrays[kind], exact, atol=BOUND)
    put_encoder = [box for box in seen.at.selectbox if (box.key or "").startswith("joint-encoder-")]
    put_encoder[0].set_value((0, 1))
    seen.at.run()
    exact = trace.record("encoder.0.self").weights(1, dtype=torch.float64).numpy()
    np.testing.assert_allclose(seen.sound().figure("joint")[1]["encoder"], exact, atol=BOUND)
    assert (seen.view.site, seen.view.head) == ("decoder.1.cross", 3)
    pick(seen, "joint", {"block": "encoder", "row": 4, "column": 1}).sound()
    assert (seen.view.site, seen.view.head, seen.view.row, seen.view.column) == ("encoder.0.self", 1, 4, 1)
    header, arrays = seen.figure("joint")
    assert header["selection"] == {"block": "encoder", "row": 4, "column": 1}
    exact = trace.record("decoder.1.cross").weights(3, dtype=torch.float64).numpy()
    np.testing.assert_allclose(arrays["cross"], exact, atol=BOUND)  # its head stays when another block is selected


def test_one_stack_has_no_joint_view(visit, models: Path) -> None:
    pytest.importorskip("transformers")
    assert "joint" not in visit("heads", model="gpt2", text="the cat sat").sound().figures()
