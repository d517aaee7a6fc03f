"""Snapshots of 8 bits: each weight off by half a scale at most, opened like any other; the last step is the checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model import history, open_model
from model.training.run_files.folder import snapshot, steps_of
from model.training.run_files.small_snapshots import packed, ship, unpacked
from model.training.train import train

SIZES = {"d_model": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "d_ff": 8, "train_size": 100}


def test_a_weight_is_off_by_half_a_step_of_its_row_at_most() -> None:
    generator = np.random.default_rng(0)
    told = {"a": generator.normal(size=(5, 30)) * 10.0 ** np.arange(-3, 2)[:, None], "b": generator.normal(size=7),
            "nothing": np.zeros((2, 3))}  # fmt: skip
    weights = {name: torch.tensor(value, dtype=torch.float32) for name, value in told.items()}
    found = {name: value.numpy() for name, value in unpacked(packed(weights)).items()}
    assert found.keys() == told.keys() and packed(weights)["a"].dtype == torch.int8
    off = np.abs(found["a"] - told["a"]).max(1)
    assert (off <= np.abs(told["a"]).max(1) / 127 * 0.5001 + 1e-9).all() and off.max() > 0
    assert np.array_equal(found["b"], told["b"].astype(np.float32)) and not found["nothing"].any()


def test_what_ships_is_a_history_whose_last_step_is_the_checkpoint(tmp_path: Path) -> None:
    run, small = tmp_path / "run", tmp_path / "small"
    train("copy", run, steps=12, snapshots=6, evaluate_every=100, average=0.0, **SIZES)
    shutil.copytree(run, small, ignore=shutil.ignore_patterns("snapshots"))
    wanted = steps_of(run)[:-1][::2]
    ship(run, small, wanted, eight_bits=True)
    assert history(small) == [*wanted, 12]
    assert open_model(small, step=12).weights_hash == open_model(run).weights_hash
    for step in wanted:
        there, whole = open_model(small, step=step), load_file(snapshot(run, step))
        for name, value in there.module.state_dict().items():
            if value.ndim == 2:
                assert (value - whole[name]).abs().max() <= whole[name].abs().max() / 127 * 0.51
        assert there.trace("abc", "abc").fidelity().holds
    with pytest.raises(ValueError, match="no snapshot of step 5000"):
        ship(run, small, [5000])
