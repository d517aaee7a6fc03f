"""The page Switch off: an edit is a real run, in the link, with its control, every head alone, and the meter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from model import open_model
from model.attribution.attribution import attribute
from model.attribution.heads_off import effects
from model.attribution.metric import metric_of
from tests.app.acting import pick
from tests.app.visit import Visit
from tests.model import tiny

TIRED = "the animal didn't cross the street because it was too tired"
EDIT = "off:encoder.1.self.2"


@pytest.fixture(scope="module")
def tired():
    model = open_model("translate")
    trace = model.trace(TIRED, language="fr")
    return model, trace, metric_of(trace, trace.written().index("il"))


def visit(**link: object) -> Visit:
    given = {"model": "translate", "text": TIRED, "to": "fr", "site": "encoder.1.self", "head": 2} | link
    return Visit("switch_off", straight=True, **given)


def tables(seen: Visit, column: str) -> list:
    """The tables with a column that the charts were given."""
    found = [
        pa.ipc.open_stream(each.data.data).read_pandas()
        for chart in seen.at.get("vega_lite_chart")
        for each in chart.proto.datasets
    ]
    return [each for each in found if column in each]


def test_the_page_begins_with_every_head_off_alone(tired) -> None:
    model, trace, metric = tired
    seen = visit().sound()
    (table,) = [each for each in tables(seen, "effect") if len(each) == 24]
    known = {(str(site), head): effect for site, head, effect in effects(model, trace, metric)}
    for row in table.itertuples():
        assert row.effect == pytest.approx(known[row.site, row.head], abs=1e-4)
    assert any(seen.say("switch_off.rank", rank=1, n=24) in each.value for each in seen.at.caption)
    assert not seen.at.get("bidi_component") or seen.view.edits == ""


def test_a_press_switches_the_head_off_and_the_link_carries_it(tired) -> None:
    model, trace, metric = tired
    seen = visit().click("switch-add").sound()
    assert seen.view.edits == EDIT == seen.link["edits"]
    before, after = metric.value(trace), metric.value(model.again(trace, [EDIT]))
    said = " ".join(each.value for each in seen.at.markdown)
    assert f"{before:.3g}" in said and f"{after:.3g}" in said and "“il” minus “elle”" in said
    draws = [each["change"].tolist() for each in tables(seen, "change") if len(each) == 3]
    wanted = sorted(metric.value(model.again(trace, [f"off:encoder.1.self.{head}"])) - before for head in (0, 1, 3))
    assert sorted(draws[0]) == pytest.approx(wanted, abs=1e-4)
    again = visit(edits=EDIT).sound()
    assert again.view.edits == EDIT and again.click("switch-edit-0").sound().view.edits == ""


def test_another_answer_is_marked() -> None:
    model = open_model("translate")
    edits = " ".join(f"off:decoder.{layer}.cross" for layer in (0, 1))
    before, after = (model.trace(TIRED, language="fr", edits=each.split()).written() for each in ("", edits))
    assert before != after
    seen = visit(edits=edits).sound()
    assert any(":orange-background[" in each.value for each in seen.at.markdown)


def test_the_next_tokens_are_those_of_both_runs(tired) -> None:
    model, trace, metric = tired
    seen = visit(edits=EDIT).sound()
    (table,) = tables(seen, "p")
    forced = model.again(trace, [EDIT])
    for line, run in (("as it is", trace), ("changed", forced)):
        p = run.logits[metric.position].double().softmax(-1)
        for row in table[table["line"] == line].itertuples():
            assert row.p == pytest.approx(float(p[trace.vocabulary.index(row.token)]), abs=1e-5)


def test_the_meter_is_of_this_run() -> None:
    seen = visit(set="switch-meter.1~switch-every.0").sound()
    (table,) = tables(seen, "correlation")
    found = dict(zip(table["name"], table["correlation"], strict=True))
    assert found["knock-out, first order"] > 0.9 > 0.6 > found["attention weight"]
    low = table.set_index("name")["low"]["attention weight"]
    verdict = seen.say("switch_off.believe_not" if low <= 0 else "switch_off.believe_little")
    assert verdict in [each.value for each in seen.at.markdown]


@pytest.mark.parametrize(
    "edits", ["nothing", "off:encoder.9.self.1", "off:encoder.1.self.99", "hide:encoder.1.self.2:k99", "off:"]
)
def test_a_bad_edit_of_a_link_is_one_sentence_and_the_page_goes_on(edits: str) -> None:
    seen = visit(edits=edits, set="switch-every.0")
    assert not seen.at.exception and len([*seen.at.error, *seen.at.info]) == 1
    assert seen.click("switch-clear").sound().view.edits == ""


@pytest.mark.parametrize(("shape", "text"), [("decoder", tiny.TEXT), ("encoder", tiny.GAP)])
def test_the_other_shapes(tmp_path: Path, shape: str, text: str) -> None:
    folder = tiny.write_checkpoint(tmp_path / "tiny", shape=shape)
    stack = shape
    seen = Visit("switch_off", straight=True, model=str(folder), text=text, edits=f"off:{stack}.1.self.0").sound()
    assert tables(seen, "p") and tables(seen, "effect")


def test_a_model_that_names_nothing_says_so(models) -> None:
    seen = Visit("switch_off", straight=True, model=str(models / "gpt2"), text="a cat", lang="zh").sound()
    assert seen.at.get("vega_lite_chart") is not None


@pytest.mark.parametrize(
    "method", ["knockout", "gradient_attention", "value_norm", "contribution", "value_zeroing", "rollout"]
)
def test_every_edge_of_the_head_is_what_the_method_says(tired, method: str) -> None:
    model, trace, metric = tired
    seen = visit(set=f"switch-edges-open.1~switch-every.0~switch-method.{method}").sound()
    told, arrays = seen.figure("switch-edges")
    found = attribute(model, trace, method, metric.position)
    np.testing.assert_allclose(arrays["values"], found.weights("encoder.1.self", 2).numpy(), atol=1e-4)
    assert told["scale"]["kind"] == ("diverging" if found.method.signed else "sequential")
    weights = seen.figure("switch-weights")[1]["values"]
    np.testing.assert_allclose(weights, trace.weights("encoder.1.self", 2).numpy(), atol=1e-6)


def test_a_press_on_an_edge_selects_the_cell() -> None:
    seen = visit(set="switch-edges-open.1~switch-every.0")
    seen = pick(seen, "switch-edges", {"row": 2, "column": 1}).sound()
    assert (seen.view.row, seen.view.column) == (2, 1)
