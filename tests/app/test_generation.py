"""The page Generation: every way of writing, and the numbers of its figures after each control."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
import torch

from model import open_model
from model.checkpoints import own_decoder
from model.checkpoints.library import generate
from model.generation import beam
from model.jobs.progress import tick
from tests import bounds
from tests.app.acting import stop_during
from tests.app.visit import Visit
from viz.base import numbers

TEXT = "the cat sat on the mat"


def charts(seen: Visit) -> list[list[dict]]:
    """The rows of every data set of the page's altair charts, in order."""
    found = []
    for element in seen.at.get("vega_lite_chart"):
        sets = [each.data.data for each in element.proto.datasets] or [element.proto.data.data]
        found.append([pa.ipc.open_stream(data).read_pandas().to_dict("records") for data in sets])
    return found


def way(seen: Visit, name: str) -> Visit:
    seen.set("generation", name)
    return seen


def slide(seen: Visit, name: str, value: float) -> Visit:
    (found,) = [s for s in seen.at.slider if s.key.split("@")[0] == f"generation-{name}"]
    found.set_value(value)
    seen.at.run()
    return seen


def choose(seen: Visit, node: str) -> Visit:
    """What the browser sends for a click on a hypothesis of the tree."""
    (element,) = [e for e in seen.at.get("vega_lite_chart") if e.proto.id]
    states = seen.at._tree.get_widget_states()
    states.widgets.add(id=element.proto.id, string_value=json.dumps({"selection": {"node": [{"id": node}]}}))
    seen.at._run(states)
    return seen


def said(seen: Visit) -> str:
    return " ".join(each.value for each in (*seen.at.caption, *seen.at.markdown))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["greedy", "beams", "sampling", "cache"])
def test_every_way_renders_on_a_shipped_model(visit, name: str, language: str) -> None:
    seen = way(visit("generation", text=TEXT, lang=language), name).sound()
    assert charts(seen) and ":red[" not in said(seen) and not seen.at.info


def test_a_step_shows_its_candidates_and_rows(visit, translator) -> None:
    trace = translator.trace(TEXT, language="zh")
    seen = slide(visit("generation", text=TEXT, site="decoder.1.cross", head=3), "step", 2).sound()
    bars, own, cross = charts(seen)
    (rows,) = [rows for rows in bars if "p" in rows[0]][:1]
    want = trace.logits[1].double().softmax(-1).topk(10)
    np.testing.assert_allclose([row["p"] for row in rows], want.values, atol=1e-12)
    assert rows[0]["kind"] == seen.say("generation.chosen") and rows[0]["token"].endswith(trace.written()[1])
    np.testing.assert_allclose([r["weight"] for r in own[0]], trace.row("decoder.1.self", 3, 1)[:2], atol=bounds.WEIGHT)
    np.testing.assert_allclose([r["weight"] for r in cross[0]], trace.row("decoder.1.cross", 3, 1), atol=bounds.WEIGHT)
    seen = seen.set("generation-head", 1).set("generation-layer", 0).sound()
    assert (seen.view.site, seen.view.head) == ("decoder.0.cross", 1)
    np.testing.assert_allclose(
        [r["weight"] for r in charts(seen)[2][0]], trace.row("decoder.0.cross", 1, 1), atol=bounds.WEIGHT
    )


def test_a_step_is_the_apps_row(visit, translator) -> None:
    trace = translator.trace(TEXT, language="zh")
    seen = slide(visit("generation", text=TEXT, site="decoder.1.cross", head=3), "step", 4)
    column = int(trace.row("decoder.1.cross", 3, 3).argmax())
    assert (seen.view.row, seen.view.column) == (3, column)
    seen = visit("generation", text=TEXT, site="decoder.1.cross", head=3, q=2, k=1)
    (step,) = [s for s in seen.at.slider if s.key.startswith("generation-step@")]
    assert step.value == 3
    seen = slide(visit("generation", text=TEXT, site="encoder.0.self", head=0, q=1, k=0), "step", 2)
    assert (seen.view.site, seen.view.row) == ("encoder.0.self", 1)


def test_more_new_tokens_are_more_steps(visit, models) -> None:
    seen = visit("generation", model="gpt2", text="the dog jumps")
    for new in (3, 7):
        seen = slide(seen, "new", new).sound()
        (step,) = [s for s in seen.at.slider if s.key.startswith("generation-step@")]
        assert step.max == new == len(seen.at.dataframe[0].value)


def test_a_forced_output_marks_what_was_forced(visit) -> None:
    seen = slide(visit("generation", text="I like cats", to="zh", target="我 喜欢 狗"), "step", 3).sound()
    rows = next(rows for rows in charts(seen)[0] if "kind" in rows[0])
    (chosen,) = [row for row in rows if row["kind"] == seen.say("generation.chosen")]
    assert chosen["token"].endswith("狗") and not chosen["token"].startswith("1. ")


def test_the_tree_is_the_search(visit, translator) -> None:
    trace = translator.trace(TEXT, language="zh")
    decoder = own_decoder.own_decoder(translator, trace)
    seen = way(visit("generation", text=TEXT), "beams")
    for name, value, k, alpha, limit in (
        ("beams", 2, 2, 1.0, 16), ("alpha", 0.3, 2, 0.3, 16), ("longest", 4, 2, 0.3, 4), ("beams", 5, 5, 0.3, 4),
    ):  # fmt: skip
        seen = slide(seen, name, value).sound()
        want = beam.search(decoder, k, alpha, limit)
        nodes = next(rows for rows in charts(seen)[0] if "id" in rows[0])
        found = {row["id"]: row["total"] for row in nodes if row["id"]}
        assert found == pytest.approx(
            {f"{t}-{i}": one.total for t, step in enumerate(want.steps) for i, one in enumerate(step)}
        )
        table = seen.at.dataframe[0].value
        assert list(table[seen.say("generation.length")])[: len(want.finished)] == [
            len(each.tokens) for each in want.finished
        ]


def test_a_picked_hypothesis_shows_its_arithmetic_and_rows(visit, translator) -> None:
    trace = translator.trace(TEXT, language="zh")
    decoder = own_decoder.own_decoder(translator, trace)
    seen = way(visit("generation", text=TEXT, site="decoder.1.cross", head=2), "beams")
    seen = seen.set("generation-hypothesis_step", 2).set("generation-hypothesis", 1).sound()
    beams = beam.search(decoder, 3, 1.0, 16)
    path = beams.path(2, 1)
    formula = seen.at.latex[0].value
    assert r"\sum_{t=1}^{3}" in formula and f"{path[0].log_p:.3g}"[:4] in formula.replace("{", "")
    ids = (*decoder.start, *beams.tokens(2, 1)[:-1])
    record = translator.trace(TEXT, language="zh").record("decoder.1.cross")
    weights = next(r for s, r in decoder.record(ids).items() if str(s) == "decoder.1.cross").weights(2)[-1]
    assert weights.shape[0] == record.keys
    np.testing.assert_allclose([r["weight"] for r in charts(seen)[2][0]], weights, atol=bounds.WEIGHT)
    nodes = next(rows for rows in charts(seen)[0] if "id" in rows[0])
    assert {row["id"] for row in nodes if row["way"]} == {"2-1", f"1-{path[2].parent}", f"0-{path[1].parent}"} | ({""})


def test_greedy_stands_beside_the_best(visit, translator) -> None:
    trace = translator.trace(TEXT, language="zh")
    decoder = own_decoder.own_decoder(translator, trace)
    seen = slide(way(visit("generation", text=TEXT), "beams"), "beams", 4).sound()
    alone, best = (beam.search(decoder, k, 1.0, 16).finished[0] for k in (1, 4))
    assert alone.tokens == (*trace.token_ids("decoder")[1:], *decoder.ends)
    same = alone.tokens == best.tokens
    words = {"text": "`x`", "greedy": "", "best": "", "k": 4}
    want = seen.say("generation.greedy_same" if same else "generation.greedy_better", **words).split("`x`")[0]
    assert want in said(seen)
    assert want not in said(slide(seen, "beams", 1).sound())


def test_a_click_in_the_tree_selects(visit) -> None:
    seen = choose(way(visit("generation", text=TEXT), "beams"), "1-2").sound()
    key = f"generation-hypothesis_step-{seen.language}"
    assert (seen.at.selectbox(key=key).value, seen.at.selectbox(key=key.replace("_step", "")).value) == (1, 2)
    assert r"\sum_{t=1}^{2}" in seen.at.latex[0].value
    seen = choose(seen, "").sound()  # the start is no hypothesis
    assert seen.at.selectbox(key=key).value == 1
    seen = slide(seen, "beams", 2).sound()  # another tree begins at the end of its best text
    assert r"\text{score}" in seen.at.latex[0].value


def test_sampling_begins_where_the_text_is_least_certain(visit) -> None:
    seen = way(visit("generation", model="small-gpt2"), "sampling").sound()
    (step,) = [s for s in seen.at.slider if s.key.startswith("generation-step-drawn@")]
    model, new = open_model("small-gpt2"), int(step.max)
    run = model.trace(seen.view.text, new_tokens=new)
    first = int(run.facts["prompt"]) - 1
    largest = run.logits[first : first + new].double().softmax(-1).max(-1).values.numpy()
    assert step.value == largest.argmin() + 1 and largest.min() < 0.9
    said = seen.say("generation.least_sure", step=step.value, p=numbers.short(float(largest.min()), 4))
    assert said in [caption.value for caption in seen.at.caption]

    def after() -> list[float]:
        return [row["p"] for rows in charts(seen)[0] for row in rows if row["kind"] == seen.say("generation.after")]

    before = after()
    seen = slide(seen, "temperature", 2.0).sound()
    assert max(abs(b - a) for b, a in zip(before, after(), strict=True)) > 0.05
    other = 2 if step.value == 1 else 1
    assert said not in [caption.value for caption in slide(seen, "step-drawn", other).sound().at.caption]


def test_a_model_that_is_certain_everywhere_says_so_and_leads_to_one_that_is_not(visit, translator) -> None:
    seen = way(visit("generation", text=TEXT, to="zh"), "sampling").sound()
    largest = translator.trace(TEXT, language="zh").logits.double().softmax(-1).max(-1).values.numpy()
    said = seen.say("generation.sure", p=numbers.short(float(largest.min()), 4))
    assert largest.min() > 0.9 and said in [caption.value for caption in seen.at.caption]
    seen.click("generation-less-sure").sound()
    assert seen.view.model == "small-gpt2" and any("step-drawn" in s.key for s in seen.at.slider)


def test_the_cuts_follow_their_controls(visit, translator) -> None:
    logits = translator.trace(TEXT, language="zh").logits[1].double()
    seen = slide(way(visit("generation", text=TEXT), "sampling"), "step-drawn", 2)
    for name, value in (("temperature", 2.5), ("top_k", 7), ("top_p", 0.9)):
        seen = slide(seen, name, value).sound()
    p = np.sort(np.exp(logits.numpy() / 2.5))[::-1][:7]
    p = p / p.sum()
    kept = int(np.searchsorted(np.cumsum(p), 0.9)) + 1
    p = p[:kept] / p[:kept].sum()
    table = seen.at.dataframe[0].value
    assert list(table[seen.say("generation.kept")]) == [f"{len(logits):,}", f"{len(logits):,}", "7", str(kept)]
    assert float(table[seen.say("generation.nats")].iloc[-1]) == pytest.approx(-(p * np.log(p)).sum(), rel=2e-3)
    rows = [row for rows in charts(seen)[0] for row in rows if row["kind"] == seen.say("generation.after")]
    np.testing.assert_allclose([row["p"] for row in rows if row["p"] > 0][:kept], p, rtol=1e-5)
    (pair,) = [widget for widget in seen.at.get("button_group") if widget.key == "generation-pair"]
    pair.set_value("temperature")
    seen.at.run()
    rows = [row for rows in charts(seen.sound())[0] for row in rows if row["kind"] == seen.say("generation.after")]
    want = torch.softmax(logits / 2.5, 0).topk(20).values
    logarithmic = seen.at.toggle(key="generation-log").value
    marks = json.loads(seen.at.get("vega_lite_chart")[0].proto.spec)["layer"]
    assert {layer["mark"]["type"] for layer in marks} == {"point" if logarithmic else "bar"}
    seen.at.toggle(key="generation-log").set_value(not logarithmic)
    seen.at.run()
    marks = json.loads(seen.at.get("vega_lite_chart")[0].proto.spec)["layer"]
    assert {layer["mark"]["type"] for layer in marks} == {"bar" if logarithmic else "point"}
    np.testing.assert_allclose([row["p"] for row in rows][:20], want, rtol=1e-5)


def test_the_same_seed_draws_the_same(visit) -> None:
    seen = slide(way(visit("generation", text=TEXT), "sampling"), "temperature", 3.0)
    assert seen.say("generation.draw_first") in said(seen)

    def texts(seed: int) -> list[str]:
        seen.at.number_input(key="generation-seed").set_value(seed)
        seen.at.run()
        seen.click("generation-draw").sound()
        return list(seen.at.dataframe[1].value[seen.say("generation.text")])

    first = texts(5)
    assert len(first) == 3 and texts(6) != first and texts(5) == first
    seen = slide(seen, "count", 2).click("generation-draw").sound()
    assert len(seen.at.dataframe[1].value) == 2
    seen = slide(seen, "draw_longest", 2).click("generation-draw").sound()
    assert max(seen.at.dataframe[1].value[seen.say("generation.length")]) <= 2


def test_the_costs_follow_the_length(visit, translator) -> None:
    seen = slide(way(visit("generation", text=TEXT), "cache"), "cache_steps", 6).sound()
    rows = charts(seen)[0][0]
    c, s = translator.config, 6
    d, layers = c.d_model, c.decoder_layers
    for row in rows:
        n = row["step"]
        maps = layers * (6 * d * d + 2 * d * c.d_ff)
        if row["kind"] == seen.say("generation.without"):
            pairs = layers * 2 * d * (n * n + n * s)
            assert row["macs"] == n * maps + layers * 2 * d * d * s + pairs + n * d * c.target_vocabulary
        elif n > 1:
            assert row["macs"] == maps + layers * 2 * d * (n + s) + d * c.target_vocabulary
    assert [row["bytes"] for row in charts(seen)[1][0]] == [layers * 2 * d * 4 * (n + s) for n in range(1, 7)]
    assert ":red[" not in said(seen)
    # 6 source tokens, keys and values of float32 in every layer.
    assert seen.say("generation.bytes_source", source=f"{layers * 2 * d * 4 * s / 1024:g} KiB") in said(seen)


@pytest.mark.parametrize("model", ["llama", "t5"])
def test_library_models_write_every_way(visit, models, model: str) -> None:
    seen = visit("generation", model=model, text="the dog jumps over the cat").sound()
    if model == "llama":
        seen = slide(seen, "new", 5)
    seen = seen.click("generation-again").sound()
    assert ":red[" not in said(seen)
    seen = slide(slide(way(seen, "beams"), "longest", 5), "beams", 4).sound()
    agrees = seen.say("generation.agrees", n=5)[:20]
    assert agrees in said(seen) and ":red[" not in said(seen)
    seen = way(seen, "sampling").click("generation-draw").sound()
    assert len(seen.at.dataframe[1].value) == 3
    seen = way(seen, "cache").sound()
    assert not seen.at.info and ":red[" not in said(seen)


@pytest.mark.parametrize("model", ["bert", "vit"])
def test_what_writes_nothing_says_what_to_open(visit, models, model: str) -> None:
    seen = visit("generation", model=model).sound()
    assert [info.value for info in seen.at.info] == [seen.say("generation.none")]


def test_a_saved_run_has_its_greedy_steps(visit, models) -> None:
    seen = visit("generation", model=str(models / "saved" / "trace.safetensors")).sound()
    assert charts(seen)
    for name in ("beams", "cache"):
        assert [info.value for info in way(seen, name).sound().at.info] == [seen.say("generation.no_model")]


def test_stop_ends_a_search(visit, models, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = visit("generation", model="gpt2", text="Once upon a time").sound()
    waits, quick = threading.Event(), generate.beam_search

    def slow(*args: object):
        waits.set()
        for _ in range(600):
            time.sleep(0.02)
            tick("writing", 0.5)
        return quick(*args)

    monkeypatch.setattr(generate, "beam_search", slow)
    stop_during(seen, waits, lambda: way(seen, "beams"))
    assert not seen.at.exception and not charts(seen)
    monkeypatch.setattr(generate, "beam_search", quick)
    seen.at.run()
    assert charts(seen.sound())


def test_a_disagreement_with_the_library_is_red(visit, models, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = generate.Beams.advance

    def wrong(self: beam.Beams, log_p: torch.Tensor) -> None:
        rule(self, -log_p if len(self.steps) == 1 else log_p)

    monkeypatch.setattr(generate.Beams, "advance", wrong)
    seen = way(visit("generation", model="gpt2", text="Once upon a time"), "beams")
    assert f":red[{seen.say('generation.differs', step=3)}]" in said(seen)
    assert not seen.at.exception


def test_a_text_that_fills_the_model_is_answered(visit, models) -> None:
    seen = visit("generation", model="gpt2", text="a b " * 512)
    for name in ("greedy", "beams"):
        assert not way(seen, name).at.exception
        assert len(seen.at.error) == 1


def test_the_dates_model_writes_too(visit) -> None:
    seen = visit("generation", model="dates").sound()
    for name in ("beams", "sampling", "cache"):
        assert ":red[" not in said(way(seen, name).sound()) and charts(seen)
