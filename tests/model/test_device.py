"""On which device a model runs: chosen, refused in one sentence, and everything that is recorded in the processor's memory.

No graphics card is asked for: a second device that this computer lacks is put in its place (`tests.model.second_device`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model import errors, open_model
from model.jobs import device as devices
from model.transformer import attention

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [None, "", "cpu", "cpu:0", " cpu "])
def test_the_processor_is_chosen_by_itself_and_by_its_names(name: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    assert devices.choose(name) == torch.device("cpu") and devices.available()[0] == "cpu"
    monkeypatch.setenv(devices.VARIABLE, name or "")
    assert open_model("translate").device == "cpu"


@pytest.mark.parametrize("name", ["nonsense", "meta", "cuda:99", "cpu cpu", "cuda"])
def test_a_device_that_is_not_here_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(devices, "available", lambda: ["cpu"])
    with pytest.raises(errors.UnknownDevice) as caught:
        open_model("translate", device=name)
    assert f"“{name}”" in str(caught.value) and "choose one of cpu" in str(caught.value)
    monkeypatch.setenv(devices.VARIABLE, name)
    with pytest.raises(errors.UnknownDevice):
        open_model("translate")
    assert open_model("translate", device="cpu").device == "cpu"  # what is said in the call goes first


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a graphics card")
def test_without_a_card_only_the_processor_is_there():
    assert devices.available() == ["cpu"]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", ["none", "bool", "added", "one row"])
def test_the_log_sum_exp_made_in_blocks_is_that_of_the_scores(causal: bool, mask: str):
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, heads, 600, 8, generator=generator) for heads in (4, 2))
    scores = 0.3 * (q.double() @ k.double().repeat_interleave(2, 1).mT)
    allowed = torch.rand(1, 1, 1 if mask == "one row" else 600, 600, generator=generator) > 0.3
    added = torch.randn(1, 4, 600, 600, generator=generator)
    given = {"none": None, "bool": allowed, "one row": allowed, "added": added}[mask]
    if given is not None:
        scores = scores + added if mask == "added" else scores.masked_fill(~allowed, -torch.inf)
    if causal:
        scores = scores.masked_fill(torch.ones(600, 600, dtype=torch.bool).triu(1), -torch.inf)
    found = attention.log_sum_exp_in_blocks(q, k, 0.3, given, causal)
    expected = scores.logsumexp(-1)
    empty = expected.isneginf()  # a row without a key has weights 0
    assert (found[empty] == 0).all() and found.dtype == torch.float32
    torch.testing.assert_close(found.double()[~empty], expected[~empty], rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def found():
    pytest.importorskip("transformers")
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.second_device"], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300,
        check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


RECORDED = ["bert", "llama", "gemma2", "bart", "t5", "bloom", "deberta-v2", "llama writes", "translate", "vit", "clip",
            "whisper", "llama / no sums", "bart / no sums"]  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_a_run_on_another_device_is_recorded_as_on_the_processor(found: dict, name: str):
    run = found[name]
    assert run["elsewhere"] == [] and run["names"] and run["sums"] and run["tokens"] and run["masks"] and run["checks"]
    # Its kernels are the processor's, called in another order: rounding is all that may differ.
    assert run["apart"] < 5e-6 and run["device"] == "card:0" and run.get("told", True) is True
    assert run["logits"] is None or run["logits"] < 5e-6
    assert run.get("devices", ["cpu", "card:0"]) == ["cpu", "card:0"]


@pytest.mark.parametrize("name", ["beyond gpt2", "beyond bart", "ours"])
def test_what_else_runs_a_model_runs_there_too(found: dict, name: str):
    assert len(found[name]) >= 6 and all(apart < 5e-6 for apart in found[name].values()), found[name]
