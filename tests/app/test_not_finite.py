"""Checkpoints whose weights hold NaN or infinity: said at opening, drawn as themselves, and no page breaks."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file

from model import open_model
from model.errors import NotFinite
from model.trace.difference import max_difference
from tests.app.visit import PAGES
from viz.base.payload import pack, unpack

CASES = [
    ("bert", "bert.encoder.layer.0.attention.self.query.weight", math.nan),
    ("bert", "bert.encoder.layer.0.attention.self.value.weight", math.inf),
    ("gpt2", "transformer.h.1.mlp.c_fc.weight", math.nan),
    ("llama", "model.layers.0.mlp.down_proj.weight", math.inf),
]


@pytest.fixture
def broken(models: Path, tmp_path: Path):
    def make(name: str, tensor: str, value: float) -> Path:
        folder = tmp_path / name
        shutil.copytree(models / name, folder)
        weights = load_file(folder / "model.safetensors")
        key = next(known for known in weights if known == tensor or known.endswith("." + tensor.split(".", 1)[-1]))
        weights[key][1, 1] = value
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


@pytest.mark.parametrize(("name", "tensor", "value"), CASES)
def test_no_page_breaks_and_each_says_it(visit, broken, name: str, tensor: str, value: float):
    folder = broken(name, tensor, value)
    opened = open_model(folder)
    assert len(opened.card["not_finite"]) == 1 and opened.card["not_finite"][0].endswith(tensor.split(".", 1)[-1])
    for page in PAGES:
        seen = visit(page, model=str(folder), text="the cat sat")
        assert not seen.at.exception, (page, seen.at.exception[0].value)
        assert not [error for error in seen.at.error if "gave up" in error.value], page
    warned = [element.value for element in visit(model=str(folder), text="the cat sat").at.warning]
    assert any("NaN" in text and tensor.rsplit(".", 1)[0].split(".", 1)[-1] in text for text in warned)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_first_screen_does_not_call_nan_right(visit, broken, lang: str):
    """One head of NaN in the first layer, and all of the second: the drawn head is one with numbers, the hatching is named."""
    folder = broken(*CASES[0])
    context = open_model(folder).trace("the cat sat").record("encoder.0.self").context
    seen = visit(model=str(folder), text="the cat sat", lang=lang)
    header, arrays = seen.figure("overview")
    assert header["hero"]["site"] == "encoder.0.self" and header["hero"]["head"] != 0
    assert np.isfinite(arrays["hero"]).all() and header["hatched"] == seen.say("overview.hatched_nan")
    (foot,) = [each.value for each in seen.at.caption if each.value.startswith(seen.say("overview.sentence"))]
    if (
        context.isfinite().all()
    ):  # torch's fused attention makes 0 of NaN scores on some processors: no record of it checks
        assert ":red[✗" in foot and "NaN" in foot
        return
    assert seen.say("foot.nan") in foot and seen.say("foot.nan_logits") in foot
    assert seen.say("foot.unchecked") not in foot.replace(seen.say("foot.nan"), "") and "NaN on average" not in foot
    for key in ("foot.opening", "foot.logits"):
        before, after = seen.say(key, error="\0").split("\0")
        assert not re.search(re.escape(before) + "[^ ]+" + re.escape(after), foot.replace(nan_opening(seen), ""))


def nan_opening(seen) -> str:
    return seen.say("foot.nan_opening", error="\0").split("\0")[0]


def test_a_run_that_cannot_be_checked_for_nan_is_refused_by_that(broken):
    folder = broken("t5", "decoder.block.0.layer.0.SelfAttention.k.weight", math.inf)
    with pytest.raises(NotFinite, match=r"1 tensors .* hold NaN or infinity \(decoder.block.0"):
        open_model(folder)


def test_what_is_nan_in_the_model_is_nan_in_the_record(broken):
    opened = open_model(broken(*CASES[2]))
    trace = opened.trace("the cat sat")
    assert trace.fidelity().holds and trace.fidelity().logits_hold and bool(trace.logits.isnan().all())
    assert all(bool(trace.weights(site, 0).isfinite().all()) for site in trace.sites)
    assert bool(trace.activation("decoder.2.stream").isnan().all()) and bool(
        trace.activation("decoder.1.stream").isfinite().all()
    )


def test_nan_is_as_right_as_any_number_where_both_have_it():
    import torch

    nan, one = torch.tensor([1.0, math.nan, math.inf]), torch.tensor([1.0, 2.0, math.inf])
    assert (
        max_difference(nan, nan) == 0 and math.isnan(max_difference(one, nan)) and math.isnan(max_difference(nan, one))
    )


def test_a_frame_carries_numbers_that_json_lacks():
    header, arrays = unpack(pack({"a": [math.nan, {"b": -math.inf}], "c": 1.5}, x=np.array([math.nan, 1.0])))
    assert math.isnan(header["a"][0]) and header["a"][1]["b"] == -math.inf and header["c"] == 1.5
    assert math.isnan(arrays["x"][0]) and arrays["x"][1] == 1
