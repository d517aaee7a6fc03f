"""The page The block: every control moves the numbers of its figures, which are numpy's of the recorded activations."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from model import Trace, open_model
from model.residual import paths as stream_paths
from tests import bounds
from tests.app.acting import pick
from tests.app.visit import Visit
from tests.model.test_block_views import norm
from viz.base import numbers
from viz.ui.block import page as block

TEXT = "the cat sat on the mat"
LINK = {"site": "encoder.1.self", "head": 2, "q": 1, "k": 2, "text": TEXT}
CLOSE = {"atol": 2e-6, "rtol": 1e-5}


@pytest.fixture(scope="module")
def model():
    return open_model("translate")


@pytest.fixture(scope="module")
def trace(model) -> Trace:
    return model.trace(TEXT, language="zh")


def at(visit, panel: str, **link: object) -> Visit:
    seen = visit("block", **(LINK | link))
    return seen.sound() if panel == "stream" else seen.set("block", panel).sound()


def array(trace: Trace, name: str) -> np.ndarray:
    return trace.activation(name).double().numpy()


def rows(seen: Visit, place: int = 0) -> list[dict]:
    """What the chart at `place` was given, all of its tables one after the other."""
    proto = seen.at.get("vega_lite_chart")[place].proto
    tables = [part.data.data for part in proto.datasets] + ([proto.data.data] if proto.data.data else [])
    return pd.concat([pa.ipc.open_stream(table).read_pandas() for table in tables]).to_dict("records")


def captions(seen: Visit) -> str:
    return " ".join(caption.value for caption in seen.at.caption)


def latex(seen: Visit) -> str:
    return " ".join(block.value for block in seen.at.latex)


# ---- the stream


def check_stream(seen: Visit, trace: Trace, stack: str, tokens: list[int]) -> Visit:
    seen.sound()
    found = {(row["name"], row["line"]): row for row in rows(seen)}
    kinds = ("self", "ffn") if stack == "encoder" else ("self", "cross", "ffn")
    before = array(trace, f"{stack}.input")
    for layer in range(2):
        for kind in kinds:
            name = f"{stack}.{layer}.{kind}"
            added = array(trace, f"{name}.output")
            shown = seen.say("site.name", stack=seen.say(f"site.{stack}"), layer=layer, kind=seen.say(f"site.{kind}")) \
                if kind != "ffn" else seen.say("block.part", stack=seen.say(f"site.{stack}"), layer=layer,
                                               part=seen.say("block.part_ffn"))  # fmt: skip
            sizes = [np.linalg.norm(part, axis=1) for part in (before, added)]
            cosine = ((before * added).sum(1) / sizes[0] / sizes[1])[tokens].mean()
            for line, size in zip(("comes_in", "adds"), sizes, strict=True):
                row = found[shown, seen.say(f"block.{line}")]
                assert row["length"] == pytest.approx(size[tokens].mean(), rel=1e-5)
                assert row["cosine"] == bounds.near(cosine, 128, size=1.0)
            before = array(trace, f"{name}.norm")
    assert "✓" in captions(seen)
    return seen


def test_the_stream_of_the_selected_token(visit, trace) -> None:
    seen = check_stream(at(visit, "stream"), trace, "encoder", [1])
    seen = check_stream(seen.set("block-token", 4), trace, "encoder", [4])
    assert seen.view.row == 4
    seen.at.toggle(key="block-mean").set_value(True).run()
    check_stream(seen, trace, "encoder", list(range(6)))


def test_another_stack_is_another_selection(visit, trace) -> None:
    seen = at(visit, "stream").set("block-stack", "decoder")
    assert (seen.view.site, seen.view.head, seen.view.row) == ("decoder.1.self", 2, 1)
    check_stream(seen, trace, "decoder", [1])


# ---- the norm


def check_norm(seen: Visit, model, trace: Trace, name: str, row: int, feature: int) -> Visit:
    stack, layer, kind = name.split(".")
    state = model.module.state_dict()
    gamma, beta = (state[f"{stack}.{layer}.{kind}_add.layer_norm.{p}"].double().numpy() for p in ("gamma", "beta"))
    x = array(trace, f"{name}.residual")
    y = norm(x, gamma, beta)
    header, arrays = seen.sound().figure("block-norm-frame")
    np.testing.assert_allclose(arrays["x"], x, **CLOSE)
    np.testing.assert_allclose(arrays["y"], y, **CLOSE)
    assert [(m["highlight_row"], m["highlight_column"]) for m in header["items"] if "matrix" in m] == [
        (row, feature)
    ] * 2
    said = latex(seen)
    assert rf"\mu = {numbers.tex(x[row].mean(), 4)}" in said and rf"\sigma^2 = {numbers.tex(x[row].var(), 4)}" in said
    assert rf"y_{{{feature}}} = " in said and said.count(f"= {numbers.tex(y[row, feature], 4)}") >= 1
    mean, variance = (numbers.short(value, 3) for value in (y[row].mean(), y[row].var()))
    assert seen.say("block.norm_sentence", mean=mean, variance=variance) in captions(seen)
    return seen


def test_the_norm_of_the_selected_sub_layer(visit, model, trace) -> None:
    seen = check_norm(at(visit, "norm"), model, trace, "encoder.1.self", 1, 0)
    seen = check_norm(seen.set("block-norm", "encoder.0.ffn"), model, trace, "encoder.0.ffn", 1, 0)
    seen = pick(seen, "block-norm-frame", {"row": 3, "column": 17, "matrix": "y"})
    check_norm(seen, model, trace, "encoder.0.ffn", 3, 17)
    check_batch(seen, trace, "encoder.1.self.residual", 3, 17)


def check_batch(seen: Visit, trace: Trace, name: str, row: int, feature: int) -> Visit:
    x = array(trace, name)
    parts = {"x": x, "LN": norm(x), "BN": norm(x.T).T}
    _, arrays = seen.sound().figure("block-batch-frame")
    for symbol, values in parts.items():
        np.testing.assert_allclose(arrays[symbol], values, **CLOSE)
    table = next(m.value for m in seen.at.markdown if seen.say("block.token_mean") in m.value)
    assert seen.say("block.feature_mean", feature=feature) in table

    def short(value: float) -> str:
        return "0" if abs(value) < 1e-12 else numbers.short(value, 3)

    for symbol, v in parts.items():
        told = (v[row].mean(), v[row].var(), v[:, feature].mean(), v[:, feature].var())
        assert f"| {symbol} | " + " | ".join(map(short, told)) + " |" in table
    gone = len(x) - 1 if row != len(x) - 1 else 0
    kept = np.delete(x, gone, 0)
    apart = np.abs(norm(x.T).T[row] - norm(kept.T).T[row - (gone < row)]).max()
    assert seen.say("block.batch_sentence", layer="0", batch=numbers.short(apart, 3)) in captions(seen)
    return seen


def test_batch_norm_of_another_activation(visit, trace) -> None:
    seen = check_batch(at(visit, "norm"), trace, "encoder.1.self.residual", 1, 0)
    seen = seen.set("block-batch", "encoder.0.ffn.residual")
    check_batch(seen, trace, "encoder.0.ffn.residual", 1, 0)
    check_batch(seen.set("block-token", 5), trace, "encoder.0.ffn.residual", 5, 0)


def test_both_orders(visit, model, trace) -> None:
    from model.residual.stream import both_orders

    seen = at(visit, "norm")
    found = both_orders(model.module, trace, "encoder")
    for row in (1, 3):
        drawn = rows(seen)
        for kind in ("post", "pre"):
            shown = [r["value"] for r in drawn if r["line"] == f"{kind}-LN"]
            np.testing.assert_allclose(shown, found.lengths[kind][:, row], rtol=1e-6)
        recorded = [np.linalg.norm(array(trace, f"encoder.{n}")[row]) for n in ("input", "0.ffn.norm", "1.ffn.norm")]
        np.testing.assert_allclose(found.lengths["post"][:, row], recorded, rtol=1e-6)
        seen = seen.set("block-token", 3).sound()
    assert any(seen.say("block.this_order", kind="post") == m.value for m in seen.at.markdown)
    assert any(seen.say("block.other_order", kind="pre") == m.value for m in seen.at.markdown)


# ---- the units


def check_units(seen: Visit, trace: Trace, name: str, row: int, unit: int) -> Visit:
    pre, post = (array(trace, f"{name}.{part}") for part in ("pre", "post"))
    header, arrays = seen.sound().figure("block-units-frame")
    sizes = np.abs(post)
    order = [int(u) for u in np.lexsort((-sizes.max(0), -sizes[row]))]
    fires = [u for u in order[:12] if sizes[row, u] > 0]
    (item,) = header["items"]
    shown = [int(label["text"]) for label in item["columns"]]
    assert shown == sorted(shown) and unit in shown and set(order[:32]) <= set(shown) and len(shown) in (32, 33)
    np.testing.assert_allclose(arrays["h"], post[:, shown], **CLOSE)
    assert (item["highlight_row"], shown[item["highlight_column"]]) == (row, unit)
    bars = rows(seen, 0)
    assert [r["unit"] for r in bars] == fires
    np.testing.assert_allclose([r["value"] for r in bars], post[row, fires], rtol=1e-6)
    over = rows(seen, 1)
    np.testing.assert_allclose([r["value"] for r in over], post[:, unit], rtol=1e-6)
    (top,) = seen.at.dataframe
    assert top.value.iloc[0, 0].startswith(f"{np.argsort(-post[:, unit], kind='stable')[0]}: ")
    said = captions(seen)
    mine, share = int((post[row] > 0).sum()), f"{(post > 0).mean():.0%}"
    assert seen.say("block.units_sentence", mine=f"{mine:,}", width="256", share=share) in said
    assert seen.say("block.unit_sentence", n=int((post[:, unit] > 0).sum()), total=len(post)) in said
    table = next(m.value for m in seen.at.markdown if seen.say("block.silent") in m.value)
    gelu = pre[row] * 0.5 * np.vectorize(lambda v: math.erfc(-v / 2**0.5))(pre[row])
    apart = np.linalg.norm(gelu - np.maximum(pre[row], 0))
    assert f"| GELU | 0 | {numbers.short(np.linalg.norm(gelu), 4)} | {numbers.short(apart, 3)} |" in table
    assert f"| {int((pre[row] <= 0).sum())} | {numbers.short(np.linalg.norm(post[row]), 4)} | — |" in table
    return seen


def test_units_by_layer_token_and_number(visit, trace) -> None:
    def best(name: str, row: int) -> int:
        return int(np.abs(array(trace, f"{name}.post"))[row].argmax())

    seen = check_units(at(visit, "units"), trace, "encoder.1.ffn", 1, best("encoder.1.ffn", 1))
    seen = check_units(seen.set("block-token", 2), trace, "encoder.1.ffn", 2, best("encoder.1.ffn", 2))
    seen = seen.set("block-layer", 0)
    assert seen.view.site == "encoder.0.self"
    check_units(seen, trace, "encoder.0.ffn", 2, best("encoder.0.ffn", 2))
    (field,) = seen.at.number_input
    field.set_value(77).run()
    seen = check_units(seen, trace, "encoder.0.ffn", 2, 77)
    header, _ = seen.figure("block-units-frame")
    place = 5
    unit = int(header["items"][0]["columns"][place]["text"])
    seen = pick(seen, "block-units-frame", {"row": 4, "column": place, "matrix": "h"})
    check_units(seen, trace, "encoder.0.ffn", 4, unit)


# ---- the activations


def check_activations(seen: Visit, trace: Trace, name: str, others: list[str], depth: int, row: int) -> Visit:
    header, arrays = seen.sound().figure("block-any-frame")
    (item,) = header["items"]
    np.testing.assert_allclose(arrays[item["matrix"]], array(trace, name), **CLOSE)
    quantiles = [r for r in rows(seen, 0) if "q50" in r]
    for drawn, other in zip(quantiles, others, strict=False):
        assert drawn["layer"] == other
        expected = np.quantile(array(trace, other), [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
        bounds.close([drawn[f"q{q}"] for q in (0, 5, 25, 50, 75, 95, 100)], expected, 64)
    stack = name.split(".")[0]
    streams = [array(trace, f"{stack}.{n}") for n in ("input", "0.ffn.norm", "1.ffn.norm")]
    cosines = []
    for x in streams:
        unit = x / np.linalg.norm(x, axis=1)[:, None]
        cosines.append(unit @ unit.T)
    header, arrays = seen.figure("block-alike")
    bounds.close(arrays["cos"], cosines[depth], 64)
    assert header["items"][0]["highlight_row"] == header["items"][0]["highlight_column"] == row
    n = len(streams[0])
    means = [(c.sum() - np.trace(c)) / (n * (n - 1)) for c in cosines]
    np.testing.assert_allclose([r["value"] for r in rows(seen, 1) if r.get("line") == r.get("line")], means, atol=1e-9)
    x = streams[depth] - streams[depth].mean(0)
    _, size, right = np.linalg.svd(x, full_matrices=False)
    right *= np.sign(right[np.arange(len(right)), np.abs(right).argmax(1)])[:, None]
    points = [(r["x"], r["y"]) for r in rows(seen, 2)]
    bounds.close(points, x @ right[:2].T, 64)
    share = f"{(size[:2] ** 2).sum() / (size**2).sum():.0%}"
    names = [f"{stack}.{n}" for n in ("input", "0.ffn.norm", "1.ffn.norm")]
    assert seen.say("block.plane_sentence", name=names[depth], share=share) in captions(seen)
    return seen


def test_activations_by_kind_layer_depth_and_token(visit, trace) -> None:
    both = ["encoder.0.ffn.norm", "encoder.1.ffn.norm"]
    seen = check_activations(at(visit, "activations"), trace, both[0], both, 2, 1)
    seen = check_activations(seen.set("block-name", both[1]), trace, both[1], both, 2, 1)
    (kind,) = [box for box in seen.at.selectbox if box.key.startswith("block-kind@encoder")]
    kind.set_value("self.output").run()
    both = ["encoder.0.self.output", "encoder.1.self.output"]
    check_activations(seen, trace, both[0], both, 2, 1)
    seen.at.slider(key="block-depth@encoder-2").set_value(0).run()
    check_activations(seen, trace, both[0], both, 0, 1)
    seen = pick(seen, "block-alike", {"row": 3, "column": 2, "matrix": "cos"})
    check_activations(seen, trace, both[0], both, 0, 3)


def test_in_chinese(visit, trace) -> None:
    check_stream(at(visit, "stream", lang="zh"), trace, "encoder", [1])
    for panel in block.PANELS[1:]:
        assert ":red[" not in captions(at(visit, panel, lang="zh"))


def test_paths_come_when_asked_for_and_a_second_text_joins_them(visit, monkeypatch) -> None:
    told = {"text": "the cat saw a dog", "to": "zh", "tab": "block.activations", "site": "encoder.0.self"}
    with monkeypatch.context() as closed:
        closed.setitem(sys.modules, "plotly.graph_objects", None)  # importing it would fail
        assert not visit("block", **told).sound().at.get("plotly_chart")
    seen = visit("block", **told, set="block-paths.1").sound()
    parts = json.loads(seen.at.get("plotly_chart")[0].proto.spec)["data"]
    assert [part["mode"] for part in parts] == ["lines", "markers+text", "lines"]
    assert parts[1]["text"] == ["0: the", "1: cat", "2: saw", "3: a", "4: dog"]
    seen = visit("block", **told, set="block-paths.1~block-paths-unit.1", against="text:the cat saw a mouse").sound()
    spec = json.loads(seen.at.get("plotly_chart")[0].proto.spec)
    assert [part["mode"] for part in spec["data"]] == ["lines", "lines", "markers+text", "markers+text", "lines"]
    assert spec["data"][3]["text"][-1] == "4: mouse"
    assert [step["label"] for step in spec["layout"]["sliders"][0]["steps"]] == ["0", "1", "2"]
    assert spec["layout"]["scene"]["xaxis"]["title"]["text"].startswith("PC 1 · ")


def test_a_stream_with_nan_has_no_paths_and_the_page_says_so(visit, monkeypatch) -> None:
    real = stream_paths.recorded
    monkeypatch.setattr(stream_paths, "recorded", lambda *told: real(*told) * float("nan"))
    seen = visit("block", text=TEXT, tab="block.activations", site="encoder.0.self", set="block-paths.1")
    assert [item.value for item in seen.at.info] == [seen.say("block.paths_not_finite")]
    assert not seen.at.get("plotly_chart") and not seen.at.exception
