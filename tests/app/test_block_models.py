"""The page The block with checkpoints of the library: streams, units and windows against what the modules themselves do."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model import open_model
from model.jobs.progress import tick
from tests import bounds
from tests.app.acting import stop_during
from tests.app.test_block import array, captions, rows
from viz.ui.block import page as block
from viz.ui.state import current_run

TEXT = "the cat sat on the mat"


@pytest.mark.parametrize("name", ["dates", "t5", "bert", "vit", "clip", "xlnet"])
def test_any_model(visit, models, name: str) -> None:
    seen = visit("block", model=name).sound()
    for panel in block.PANELS:
        seen.set("block", panel).sound()
        assert ":red[" not in captions(seen)
    assert seen.at.get("vega_lite_chart")


@pytest.mark.parametrize(("name", "function"), [("llama", "SiLU"), ("gpt2", "GELU"), ("bert", "GELU"), ("t5", "ReLU")])
def test_units_of_a_library_model_are_its_layers(visit, models, name: str, function: str) -> None:
    """The units shown, through the last projection read from the file, are the layer's output that a hook hears."""
    seen = visit("block", model=name, text="the cat sat on the mat").set("block", "units").sound()
    stack = "encoder" if name in ("bert", "t5") else "decoder"
    if name == "t5":
        seen.set("block-stack", "encoder")
    seen.set("block-layer", 1).sound()
    _, units = seen.at.session_state["block-kept-units"]
    opened = open_model(models / name)
    paths = {
        "llama": "model.layers.1.mlp",
        "gpt2": "transformer.h.1.mlp",
        "bert": "bert.encoder.layer.1.output.dense",
        "t5": "encoder.block.1.layer.1.DenseReluDense",
    }
    heard = []
    hook = opened.module.get_submodule(paths[name]).register_forward_hook(lambda m, i, o: heard.append(o))
    opened.trace("the cat sat on the mat")
    hook.remove()
    ends = {"llama": ".down_proj", "gpt2": ".c_proj", "bert": "", "t5": ".wo"}
    state = load_file(models / name / "model.safetensors")
    W = state[paths[name] + ends[name] + ".weight"].double()
    W = W if name == "gpt2" else W.T
    b = state.get(paths[name] + ends[name] + ".bias", torch.zeros(W.shape[1])).double()
    output = heard[-1].detach().reshape(-1, W.shape[1]).double()
    made = np.einsum("nf,fd->nd", units.post.double().numpy(), W.numpy()) + b.numpy()
    bounds.close(made, output, W.shape[0])
    assert units.error <= units.limit and "✓" in captions(seen)
    table = next(m.value for m in seen.at.markdown if seen.say("block.silent") in m.value)
    assert f"**{function}" in table and stack in seen.view.site


def test_library_streams(visit, models) -> None:
    seen = visit("block", model="gpt2", text="the cat sat on the mat", q=2, k=1, site="decoder.0.self").sound()
    trace = open_model(models / "gpt2").trace("the cat sat on the mat")
    drawn = {(r["name"], r["line"]): r["length"] for r in rows(seen)}
    x, after = (array(trace, f"decoder.{i}.stream")[2] for i in (0, 1))
    layer = seen.say("block.part", stack=seen.say("site.decoder"), layer=0, part=seen.say("block.part_layer"))
    assert drawn[layer, seen.say("block.comes_in")] == pytest.approx(np.linalg.norm(x), rel=1e-6)
    assert drawn[layer, seen.say("block.adds")] == pytest.approx(np.linalg.norm(after - x), rel=1e-5)
    assert seen.say("block.stream_library") in captions(seen)


def test_a_cross_attention_is_drawn_where_its_input_is_known(visit, models) -> None:
    seen = visit("block", model="t5", text=TEXT, site="decoder.0.cross").sound().set("block-stack", "decoder")
    name = seen.say("block.part", stack=seen.say("site.decoder"), layer=0, part=seen.say("site.cross"))
    assert name not in {row["name"] for row in rows(seen.sound())} and seen.say("block.stream_no_cross") in captions(
        seen
    )
    seen.at.toggle(key="block-fed").set_value(True).run()
    assert name in {row["name"] for row in rows(seen.sound())} and seen.say("block.stream_no_cross") not in captions(
        seen
    )


def test_a_saved_run(visit, models) -> None:
    saved = next(f"{p.parent.name}/{p.name}" for p in models.rglob("trace.safetensors"))
    seen = visit("block", model=str(models / saved))
    for panel in block.PANELS:
        seen.set("block", panel)
        assert not seen.at.exception


@pytest.mark.parametrize("panel", block.PANELS)
def test_a_long_text_shows_a_window(visit, models, panel: str) -> None:
    seen = visit("block", model="llama", text="the cat sat on the mat. " * 30, q=100, k=90)
    seen = seen if panel == "stream" else seen.set("block", panel)
    said = captions(seen.sound())
    assert seen.say("block.window", first=76, last=123, n="@").split("@")[0] in said
    for key in seen.figures():
        _, arrays = seen.figure(key)
        assert all(values.shape[0] <= 48 for values in arrays.values())


@pytest.mark.parametrize(("name", "apart"), [("gpt2", True), ("llama", True), ("t5", True), ("bert", False)])
def test_feed_forward_parts_are_told_apart_where_the_sums_say_so(visit, models, name: str, apart: bool) -> None:
    """The layer's own feed-forward module, heard by a hook, is what is left of the difference of two streams."""
    seen = visit("block", model=name, text=TEXT).sound()
    if name == "t5":
        seen.set("block-stack", "encoder")
    stack = "encoder" if name in ("bert", "t5") else "decoder"
    row = seen.view.row
    seen.at.toggle(key="block-fed").set_value(True).run()
    drawn = {(r["name"], r["line"]): r["length"] for r in rows(seen.sound())}
    parts = {part: seen.say("block.part", stack=seen.say(f"site.{stack}"), layer=0, part=seen.say(f"block.part_{part}"))
             for part in ("ffn", "layer")}  # fmt: skip
    shown, gone = (parts["ffn"], parts["layer"]) if apart else (parts["layer"], parts["ffn"])
    adds, comes_in = seen.say("block.adds"), seen.say("block.comes_in")
    assert (gone, adds) not in drawn and seen.say(
        "block.stream_apart" if apart else "block.stream_together"
    ) in captions(seen)
    trace = open_model(models / name).trace(TEXT)
    before, after, attended = (array(trace, f"{stack}.{n}") for n in ("0.stream", "1.stream", "0.self.output"))
    added = after - before - attended if apart else after - before
    assert drawn[shown, adds] == pytest.approx(np.linalg.norm(added[row]), rel=1e-4)
    into = before + attended if apart else before
    assert drawn[shown, comes_in] == pytest.approx(np.linalg.norm(into[row]), rel=1e-5)
    assert ("✓ checks to" in captions(seen)) == apart
    seen.at.toggle(key="block-fed").set_value(False).run()
    assert "block-kept-fed" not in seen.at.session_state
    assert (parts["layer"], adds) in {(r["name"], r["line"]) for r in rows(seen.sound())}


def test_stop_while_the_units_are_heard(visit, models, monkeypatch) -> None:
    """Stop leaves one quiet line and a button, and the same page computes when it is pressed."""
    waits, again = threading.Event(), current_run.again

    def slow():
        waits.set()
        for _ in range(400):
            time.sleep(0.02)
            tick("layers", 0.1)

    seen = visit("block", model="llama", text=TEXT).sound()
    monkeypatch.setattr(current_run, "again", slow)
    stop_during(seen, waits, lambda: seen.set("block", "units"))
    assert not seen.at.exception and seen.say("block.stopped") in captions(seen)
    monkeypatch.setattr(current_run, "again", again)
    seen.click("block-again").sound()
    assert "block-units-frame" in seen.figures() and "✓" in captions(seen)
