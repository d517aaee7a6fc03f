"""The page The block: its figures are the record's numbers, in every panel, for every control and any checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace, block_views, open_model
from model import block_activations as activations
from model import block_units as units
from tests.app.acting import pick
from tests.app.test_encoder_decoder import captions, charts
from tests.app.visit import Visit
from viz import numbers

TEXT = "the cat sat on the mat"
LINK = {"site": "encoder.1.self", "head": 2, "q": 1, "k": 2, "text": TEXT}


@pytest.fixture(scope="module")
def trace() -> Trace:
    return open_model("translate").trace(TEXT, language="zh")


def panel(seen: Visit, name: str) -> Visit:
    return seen.set("block", name).sound()


def key_of(seen: Visit, kind: str, start: str) -> str:
    (found,) = [widget.key for widget in seen.at.get(kind) if (widget.key or "").startswith(start)]
    return found


def choose(seen: Visit, kind: str, start: str, value: object) -> Visit:
    (found,) = [widget for widget in seen.at.get(kind) if (widget.key or "").startswith(start)]
    found.set_value(value)
    seen.at.run()
    return seen.sound()


def additions(seen: Visit) -> tuple[np.ndarray, np.ndarray]:
    (table,) = [rows for chart in charts(seen) for rows in chart["rows"] if "length" in rows]
    halves = [table[table["line"] == seen.say(f"block.{line}")]["length"].to_numpy() for line in ("comes_in", "adds")]
    return halves[0], halves[1]


def test_the_stream_of_a_token_and_of_all(visit, trace) -> None:
    seen = visit("block", **LINK).sound()
    found = block_views.additions(trace, "encoder")
    comes_in, adds = additions(seen)
    np.testing.assert_allclose(comes_in, [float(item.comes_in[1]) for item in found], atol=1e-5)
    np.testing.assert_allclose(adds, [float(item.adds[1]) for item in found], atol=1e-5)
    seen = choose(seen, "selectbox", "block-token", 4)
    np.testing.assert_allclose(additions(seen)[1], [float(item.adds[4]) for item in found], atol=1e-5)
    seen.at.toggle(key="block-mean").set_value(True)
    seen.at.run()
    np.testing.assert_allclose(additions(seen)[1], [float(item.adds.mean()) for item in found], atol=1e-5)
    seen = seen.set(key_of(seen, "button_group", "block-stack"), "decoder").sound()
    found = block_views.additions(trace, "decoder")
    np.testing.assert_allclose(additions(seen)[1], [float(item.adds.mean()) for item in found], atol=1e-5)


def test_norms(visit, trace) -> None:
    seen = panel(visit("block", **LINK), "norm")
    for name in ("encoder.0.self", "encoder.1.ffn"):
        seen = choose(seen, "selectbox", "block-norm", name)
        _, arrays = seen.figure("block-norm-frame")
        np.testing.assert_allclose(arrays["x"], trace.activation(f"{name}.residual"), atol=1e-6)
        np.testing.assert_allclose(arrays["y"], trace.activation(f"{name}.norm"), atol=3e-6)
        mean = float(trace.activation(f"{name}.residual").double()[1].mean())
        assert numbers.short(mean, 4) in " ".join(latex.value for latex in seen.at.latex)
    seen = choose(seen, "selectbox", "block-batch", "encoder.0.ffn.residual")
    x = trace.activation("encoder.0.ffn.residual").double()
    _, arrays = seen.figure("block-batch-frame")
    np.testing.assert_allclose(arrays["LN"], torch.nn.functional.layer_norm(x, x.shape[-1:]), atol=1e-5)
    y = x.numpy()
    np.testing.assert_allclose(arrays["BN"], (y - y.mean(0)) / np.sqrt(y.var(0) + 1e-5), atol=1e-5)
    layer, batch = block_views.depends(x, 1)
    said = seen.say("block.batch_sentence", layer=numbers.short(layer, 3), batch=numbers.short(batch, 3))
    assert said in captions(seen)
    (table,) = [rows for chart in charts(seen) for rows in chart["rows"] if "depth" in rows]
    post = [float(trace.activation(n).double().norm(dim=-1).mean()) for n in block_views.streams(trace, "encoder")]
    np.testing.assert_allclose(table[table["line"] == "post-LN"]["value"], post, atol=1e-5)


def test_units(visit, trace) -> None:
    seen = panel(visit("block", **LINK), "units")
    for layer in (0, 1):
        seen = seen.set(key_of(seen, "button_group", "block-layer"), layer).sound()
        post = trace.activation(f"encoder.{layer}.ffn.post")
        hidden = units.Hidden(post)
        best = units.strongest(hidden, 1, 12)
        (bars,) = [rows for chart in charts(seen) for rows in chart["rows"] if "unit" in rows]
        assert list(bars["unit"]) == [unit for unit, _ in best]
        np.testing.assert_allclose(bars["value"], [value for _, value in best], atol=1e-6)
        shown = sorted(unit for unit, _ in units.strongest(hidden, 1, 48))
        np.testing.assert_allclose(seen.figure("block-units-frame")[1]["h"], post[:, shown], atol=1e-6)
        assert f"{float((post > 0).double().mean()):.0%}" in captions(seen)
    seen = choose(seen, "number_input", "block-unit", 7)
    table = next(t.value for t in seen.at.dataframe if seen.say("block.activation") in t.value)
    order = post[:, 7].argsort(descending=True, stable=True)
    assert list(table[seen.say("card.token")]) == [f"{i}: {trace.tokens('encoder')[i]}" for i in order.tolist()]
    pre = trace.activation("encoder.1.ffn.pre")[1]
    (points,) = [rows for chart in charts(seen) for rows in chart["rows"] if "pre" in rows and "line" not in rows]
    np.testing.assert_allclose(np.sort(points["pre"]), np.sort(pre), atol=1e-6)
    assert seen.say("block.functions_sentence", zeros=int((pre <= 0).sum()), n=len(pre), lost="{}").split("{}")[
        0
    ] in captions(seen)


def test_any_activation_and_the_stream_by_depth(visit, trace) -> None:
    seen = panel(visit("block", **LINK), "activations")
    seen = choose(seen, "selectbox", "block-kind", "ffn.post")
    seen = choose(seen, "selectbox", "block-name", "encoder.1.ffn.post")
    np.testing.assert_allclose(
        seen.figure("block-any-frame")[1]["post"], trace.activation("encoder.1.ffn.post"), atol=1e-6
    )
    (table,) = [rows for chart in charts(seen) for rows in chart["rows"] if "q50" in rows]
    for i in range(2):
        expected = np.quantile(trace.activation(f"encoder.{i}.ffn.post").double().numpy(), activations.QUANTILES)
        np.testing.assert_allclose(table.iloc[i, :7].to_numpy(dtype=float), expected, atol=1e-6)
    for depth in (2, 0):
        (slider,) = [s for s in seen.at.slider if s.key.startswith("block-depth")]
        slider.set_value(depth)
        seen.at.run()
        x = trace.activation(block_views.streams(trace, "encoder")[depth]).double().numpy()
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        np.testing.assert_allclose(seen.sound().figure("block-alike")[1]["cos"], unit @ unit.T, atol=1e-6)
        (plane,) = [rows for chart in charts(seen) for rows in chart["rows"] if "place" in rows]
        distance = np.linalg.norm(plane[["x", "y"]], axis=1)
        left, size, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
        np.testing.assert_allclose(distance, np.linalg.norm(left[:, :2] * size[:2], axis=1), atol=1e-5)


def test_a_click_on_a_row_selects_the_token(visit) -> None:
    seen = panel(visit("block", **LINK), "norm")
    seen = pick(seen, "block-norm-frame", {"row": 3, "column": 9, "matrix": "x"})
    assert seen.view.row == 3 and seen.sound().figure("block-norm-frame")[0]["items"][0]["highlight_row"] == 3


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5", "bart", "xlnet", "deberta", "vit", "clip", "whisper"])
def test_any_checkpoint(visit, models, name: str) -> None:
    seen = visit("block", model=name).sound()
    comes_in, adds = additions(seen)
    assert len(comes_in) == len(adds) > 1 and np.isfinite(adds).all() and (adds > 0).all()
    for other in ("norm", "activations", "units"):
        panel(seen, other)
    assert "block-units-frame" in seen.figures()


def test_library_units_are_the_ones_that_the_layer_read(visit, models) -> None:
    trace = open_model(models / "gpt2").trace(TEXT)
    seen = panel(visit("block", model="gpt2", text=TEXT, q=2, k=0, site="decoder.0.self"), "units")
    module = open_model(models / "gpt2").module
    kept = []
    module.transformer.h[0].mlp.c_proj.register_forward_pre_hook(lambda _, given: kept.append(given[0][0].clone()))
    with torch.no_grad():
        module(torch.tensor([trace.token_ids("decoder")]))
    hidden = units.Hidden(kept[0])
    shown = sorted(unit for unit, _ in units.strongest(hidden, 2, 48))
    np.testing.assert_allclose(seen.figure("block-units-frame")[1]["h"], kept[0][:, shown], atol=1e-5)


def test_a_long_text_shows_a_window(visit, models) -> None:
    seen = visit("block", model="llama", text="the cat sat on the mat. " * 30, q=100, k=90).sound()
    for other in ("norm", "activations", "units"):
        panel(seen, other)
    header, arrays = seen.figure("block-units-frame")
    assert len(arrays["h"]) == 48 and header["items"][0]["highlight_row"] is not None
