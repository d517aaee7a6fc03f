"""A training folder is a history: every snapshot opens, and differs; the library's checkpoint folders are one too."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from model import history, open_model
from model.errors import NoHistory, NotAllowed, UnknownStep
from model.training.train import snapshot_steps, train
from tests.model import tiny

SIZES = {"d_model": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 8, "train_size": 100}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history") / "copy"
    train("copy", folder, steps=12, snapshots=5, evaluate_every=100, average=0.0, **SIZES)
    return folder


def test_every_snapshot_opens_with_weights_of_its_own(trained: Path) -> None:
    steps = history(trained)
    assert steps == sorted(snapshot_steps(12, 5)) and steps[0] == 0 and steps[-1] == 12
    models = [open_model(trained, step=step) for step in steps]
    assert len({model.weights_hash for model in models}) == len(steps)
    assert models[-1].weights_hash == open_model(trained).weights_hash
    runs = [model.trace("abc", "abc") for model in models]
    assert all(run.fidelity().holds for run in runs)
    first, last = (run.weights("decoder.0.cross", head=0) for run in (runs[0], runs[-1]))
    assert not torch.allclose(torch.as_tensor(first), torch.as_tensor(last))


def test_snapshots_lie_evenly_over_log_step() -> None:
    steps = sorted(snapshot_steps(3000, 24))
    assert len(steps) <= 24 and steps[:2] == [0, 1] and steps[-1] == 3000
    late = [step for step in steps if step >= 20]
    ratios = [b / a for a, b in pairwise(late)]
    assert max(ratios) / min(ratios) < 1.1
    assert snapshot_steps(3000, 0) == frozenset()


def test_a_wrong_step_and_no_history_are_said(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownStep, match="no snapshot of step 7: choose one of 0, 1, "):
        open_model(trained, step=7)
    for name in (tmp_path, "nothing", "dates\0"):
        with pytest.raises(NoHistory):
            history(name)
    with pytest.raises(NotAllowed):
        history(trained, confined=True)


def test_folders_of_the_librarys_trainer_are_a_history(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from model.checkpoints.random_models import make

    made = make.write("gpt2")
    for step in (1000, 500):
        shutil.copytree(made, tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-none").mkdir()
    assert history(tmp_path) == [500, 1000]
    one = tmp_path / "checkpoint-1000"  # whoever opens one of them has the others too
    assert history(one) == [500, 1000]
    assert open_model(one, step=500).weights_hash == open_model(tmp_path / "checkpoint-500").weights_hash
    assert open_model(one, step=500).name == open_model(tmp_path, step=500).name == f"{tmp_path.name} · 500"
    shutil.copytree(made, tmp_path / "other")
    with pytest.raises(NoHistory):
        history(tmp_path / "other")
    assert open_model(tmp_path, step=500).trace("a cat").fidelity().holds


def test_another_models_snapshot_is_refused(trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    other = tiny.write_checkpoint(tmp_path / "other")
    shutil.copy(other / "weights.safetensors", copy / "snapshots" / "step-00000001.safetensors")
    with pytest.raises(ValueError, match=r"step-00000001.safetensors does not fit its config"):
        open_model(copy, step=1)
