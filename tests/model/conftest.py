from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model import Trace, open_model
from model.checkpoints.own import OwnModel
from tests.model import tiny

# Two contending threads are slower than one for models of this size.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., OwnModel]:
    """`make_model(positions="rotary")`: a tiny random model with these changes, opened once a session."""
    opened: dict[str, OwnModel] = {}

    def make(**changes: object) -> OwnModel:
        name = "-".join(map(str, changes.values())) or "tiny"
        if name not in opened:
            opened[name] = open_model(tiny.write_checkpoint(tmp_path_factory.mktemp("checkpoints") / name, **changes))
        return opened[name]

    return make


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tiny.write_checkpoint(tmp_path / "tiny")


@pytest.fixture(scope="session")
def tiny_model(make_model: Callable[..., OwnModel]) -> OwnModel:
    return make_model()


@pytest.fixture
def trace(tiny_model: OwnModel) -> Trace:
    return tiny_model.trace(tiny.TEXT, tiny.WRITTEN)
