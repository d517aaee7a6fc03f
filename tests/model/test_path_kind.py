"""What lies at a path is told before it is opened: a checkpoint, a saved trace, or neither."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model.checkpoints.convert import path_kind
from model.checkpoints.disk import packages
from tests.model import tiny
from tests.model.test_discovery import checkpoint, gguf


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A folder with one of everything that a person may point at."""
    checkpoint(tmp_path / "bert")
    tiny.write_checkpoint(tmp_path / "ours")
    gguf(tmp_path / "model.gguf")
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper/model.bin").write_bytes(b"\6\0\0\0")
    (tmp_path / "fairseq").mkdir()
    for name in ("checkpoint.pt", "dict.txt"):
        (tmp_path / "fairseq" / name).write_bytes(b"A 1\n")
    save_file({"x": torch.zeros(2)}, str(tmp_path / "run.safetensors"), metadata={"format": "headlight-trace"})
    (tmp_path / "empty").mkdir()
    for name in ("cat.png", "noise.wav", "notes.txt", "weights.pt", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(b"RIFF" + bytes(12_000))
    np.save(tmp_path / "a.npy", np.zeros(3))
    return tmp_path


KINDS = {
    "bert": "model", "ours": "model", "model.gguf": "model", "whisper": "model", "whisper/model.bin": "model",
    "fairseq": "model", "fairseq/checkpoint.pt": "model", "run.safetensors": "trace", "bert/model.safetensors": "",
    "empty": "", "cat.png": "", "noise.wav": "", "notes.txt": "", "weights.pt": "", "pytorch_model.bin": "",
    "a.npy": "", "nowhere": "", "bert/config.json": "",
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_what_lies_there(places: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", ())
    assert path_kind.kind_at(places / name) == KINDS[name]


def test_what_is_converted_is_measured_by_its_file(places: Path) -> None:
    assert path_kind.weights(places / "whisper") == places / "whisper/model.bin"
    assert path_kind.weights(places / "fairseq") == places / "fairseq/checkpoint.pt"
    assert path_kind.weights(places / "bert") == places / "bert"


def test_telling_needs_no_torch(places: Path) -> None:
    code = (
        "import sys, pathlib; from model.checkpoints.convert import path_kind; "
        "print(path_kind.kind_at(pathlib.Path(sys.argv[1]))); print('torch' in sys.modules)"
    )
    told = [sys.executable, "-c", code, str(places / "cat.png")]
    found = subprocess.run(told, capture_output=True, text=True, check=False)
    assert found.stdout.split("\n")[:2] == ["", "False"], found.stderr


def test_what_people_take_for_a_model_is_told_by_its_kind(places: Path) -> None:
    from model import errors

    parts = [{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    encoder, trainer, files = (places / name for name in ("encoder", "trainer", "files"))
    checkpoint(encoder / "0_Transformer")
    (encoder / "modules.json").write_text(json.dumps(parts))
    checkpoint(trainer / "checkpoint-5")
    files.mkdir()
    gguf(files / "a.gguf")
    assert path_kind.kind_at(encoder) == "model" and path_kind.weights(encoder) == encoder / "0_Transformer"
    assert path_kind.kind_at(trainer) == "model" and path_kind.weights(trainer) == trainer / "checkpoint-5"
    for seed in (2, 10):
        checkpoint(places / "seeds" / f"seed-{seed}")
    for path, kind in ((places / "seeds", errors.SeveralCheckpoints), (files, errors.SeveralCheckpoints),
                       (places / "weights.pt", errors.WeightsAlone)):  # fmt: skip
        assert path_kind.kind_at(path) == "" and type(path_kind.refusal(path)) is kind
    assert [path_kind.refusal(places / name) for name in ("empty", "cat.png", "bert")] == [None] * 3
    shutil.copytree(places / "bert", places / "packed")
    settings = json.loads((places / "packed/config.json").read_text())
    packed = settings | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    (places / "packed/config.json").write_text(json.dumps(packed))
    assert path_kind.kind_at(places / "packed") == "" and "(GPTQ, 4 bits)" in str(path_kind.refusal(places / "packed"))
