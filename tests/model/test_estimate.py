"""What is announced before a model is opened or run, against what it then takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers")

from model import errors
from model.checkpoints.disk import cost
from model.checkpoints.disk.families import FAMILIES, small_inputs, small_model
from model.checkpoints.library import load as loading
from model.checkpoints.library.describe import describe
from model.checkpoints.record.forward import prepare, record
from model.trace import logits
from tests.model.test_hugging_face import write


def test_parameters_and_bytes_before_loading(tmp_path: Path):
    folder = write(tmp_path / "bert", "bert")
    module = loading.read(folder).module
    count = sum(p.numel() for p in module.parameters())
    assert cost.before_loading(folder).parameters == count
    assert cost.before_loading(folder).weight_bytes == 4 * count
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    # Without a header only the bytes are known, and what an optimizer kept may be among them.
    told = cost.before_loading(folder)
    assert told.parameters is None and told.weight_bytes == pytest.approx(4 * count, rel=0.2)


def test_what_is_counted_is_what_the_opened_model_has(tmp_path: Path):
    folder = write(tmp_path / "bert", "bert")
    weights = load_file(folder / "model.safetensors")
    extra = {"bert.embeddings.position_ids": torch.arange(64)[None], "cls.seq_relationship.weight": torch.zeros(2, 32)}
    save_file(weights | extra, str(folder / "model.safetensors"), metadata={"format": "pt"})
    found = loading.load(folder)
    facts = describe(found)
    assert (facts.unused, facts.unused_numbers) == (("cls.seq_relationship.weight",), 64)
    assert cost.before_loading(folder).parameters == facts.parameters + facts.unused_numbers


SIZED = ("bert", "albert", "distilbert", "gpt2", "llama", "qwen3", "gemma2", "opt", "t5", "bart", "marian", "gpt_neox")


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.model_type in SIZED], ids=lambda f: f.model_type)
@pytest.mark.parametrize(("n", "m"), [(24, 9), (60, 3)])
def test_the_record_has_the_bytes_that_were_announced(family, n: int, m: int):
    from model import Trace
    from model.trace.trace import TraceKey

    module = small_model(family)
    both = module.config.is_encoder_decoder
    recorded = record(prepare(module), small_inputs(family, both, n, m))
    got = Trace(TraceKey("m", "h", "t"), {}, recorded.attention, recorded.store).nbytes()
    config = json.loads(module.config.to_json_string()) | {"architectures": [family.model]}
    assert cost.before_run(config, n, m if both else 0).record_bytes == pytest.approx(got, rel=0.2)


def test_the_announced_bytes_never_grow_with_the_square():
    config = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 1000}
    one, two = (cost.before_run(config, n).record_bytes for n in (5000, 10_000))
    assert two == 2 * one
    assert (logits.WHOLE, 2 * logits.LIKELIEST + 1) == (cost.WHOLE_LOGITS, cost.THIN_LOGITS_ROW)


@pytest.mark.parametrize(
    ("told", "bytes_"), [("6GB", 6 * 10**9), ("1.5 GiB", 3 * 2**29), ("500mb", 5 * 10**8), ("1000", 1000)]
)
def test_the_memory_limit(told: str, bytes_: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(cost.LIMIT, told)
    assert cost.memory_limit() == bytes_
    cost.check_record(bytes_)
    with pytest.raises(errors.TooLarge):
        cost.check_record(bytes_ + 1)
    monkeypatch.setenv(cost.LIMIT, "a lot")
    assert cost.memory_limit() > 10**6


SQUARES = ("bloom", "xlnet", "t5")
_MEASURE = """
import sys
from pathlib import Path
import torch
import transformers
from model.checkpoints.disk import cost
from model.checkpoints.disk.families import FAMILIES, small_inputs
from model.checkpoints.record.forward import prepare, record

torch.set_num_threads(1)
family, n = next(f for f in FAMILIES if f.model_type == sys.argv[1]), 1024
small = dict(family.small) | {k: n for k in ("max_position_embeddings", "n_positions") if k in family.small}
module = prepare(getattr(transformers, family.model)(getattr(transformers, family.config)(**small)).eval())
both = module.config.is_encoder_decoder
def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
with torch.no_grad():
    record(module, small_inputs(family, both, 16, 8))
    inputs = small_inputs(family, both, n, 8)
    Path("/proc/self/clear_refs").write_text("5")  # the most that was ever held is counted anew
    before = most()
    record(module, inputs)
told = cost.before_run(module.config.to_dict() | {"architectures": [family.model]}, n, 8 if both else 0)
sys.stdout.write(f"{most() - before} {told.peak_bytes} {told.record_bytes}")
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="counts the pages of a process as Linux tells them"
)
@pytest.mark.parametrize("name", SQUARES)
def test_the_peak_of_families_that_hold_squares(name: str, root: Path):
    """What a process really takes, between a quarter of what was announced and all of it."""
    command = [sys.executable, "-c", _MEASURE, name]
    # Every array gets pages of its own, given back when it is gone.
    more = {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=root, env=os.environ | more, capture_output=True, text=True, check=True, timeout=120
    )
    took, told, record_ = map(int, done.stdout.split())
    assert told / 4 < took < told and took > 2 * record_


def test_only_some_families_hold_squares():
    config = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 1000}
    plain, n = cost.before_run(config | {"model_type": "bert"}, 1000), 1000
    assert plain.peak_bytes == plain.record_bytes
    for more in ({"model_type": "bloom"}, {"model_type": "t5", "relative_attention_num_buckets": 32}):
        held = cost.before_run(config | more, n)
        assert held.record_bytes == plain.record_bytes and held.peak_bytes - held.record_bytes == 12 * 4 * n * n * 4
