"""What is announced before a model is opened or run, against what it then takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("transformers")

from model import errors, logits
from model.checkpoints import estimate, loading
from model.checkpoints.families import FAMILIES, small_inputs, small_model
from model.checkpoints.recording import prepare, record
from tests.model.test_hugging_face import write


def test_parameters_and_bytes_before_loading(tmp_path: Path):
    folder = write(tmp_path / "bert", "bert")
    module = loading.read(folder).module
    count = sum(p.numel() for p in module.parameters())
    assert estimate.before_loading(folder).parameters == count
    assert estimate.before_loading(folder).weight_bytes == 4 * count
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert estimate.before_loading(folder).parameters == pytest.approx(count, rel=0.2)


SIZED = ("bert", "albert", "distilbert", "gpt2", "llama", "qwen3", "gemma2", "opt", "t5", "bart", "marian", "gpt_neox")


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.model_type in SIZED], ids=lambda f: f.model_type)
@pytest.mark.parametrize(("n", "m"), [(24, 9), (60, 3)])
def test_the_record_has_the_bytes_that_were_announced(family, n: int, m: int):
    from model import Trace
    from model.trace import TraceKey

    module = small_model(family)
    both = module.config.is_encoder_decoder
    recorded = record(prepare(module), small_inputs(family, both, n, m))
    got = Trace(TraceKey("m", "h", "t"), {}, recorded.attention, recorded.store).nbytes()
    config = json.loads(module.config.to_json_string()) | {"architectures": [family.model]}
    assert estimate.before_run(config, n, m if both else 0).record_bytes == pytest.approx(got, rel=0.2)


def test_the_announced_bytes_never_grow_with_the_square():
    config = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 1000}
    one, two = (estimate.before_run(config, n).record_bytes for n in (5000, 10_000))
    assert two == 2 * one
    assert (logits.WHOLE, 2 * logits.LIKELIEST + 1) == (estimate.WHOLE_LOGITS, estimate.THIN_LOGITS_ROW)


@pytest.mark.parametrize(
    ("told", "bytes_"), [("6GB", 6 * 10**9), ("1.5 GiB", 3 * 2**29), ("500mb", 5 * 10**8), ("1000", 1000)]
)
def test_the_memory_limit(told: str, bytes_: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(estimate.LIMIT, told)
    assert estimate.memory_limit() == bytes_
    estimate.check_record(bytes_)
    with pytest.raises(errors.TooLarge):
        estimate.check_record(bytes_ + 1)
    monkeypatch.setenv(estimate.LIMIT, "a lot")
    assert estimate.memory_limit() > 10**6
