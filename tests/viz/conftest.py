from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model import Trace, open_model
from model.checkpoints.own import OwnModel
from tests.drawing import charts_are_held_against_their_schema, pictures_are_drawn_with_small_fonts  # noqa: F401
from tests.model import tiny

torch.set_num_threads(1)


class Words(dict):
    """Every caption, as its own key."""

    def __missing__(self, key: str) -> str:
        return key


@pytest.fixture
def words() -> Words:
    return Words(head="head {head}", head_name="head {head}", layer="layer {layer}")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> OwnModel:
    return open_model(tiny.write_checkpoint(tmp_path_factory.mktemp("viz") / "post"))


@pytest.fixture(scope="session")
def pre_model(tmp_path_factory: pytest.TempPathFactory) -> OwnModel:
    """Pre-LN and more hidden units than the overview draws."""
    folder = tmp_path_factory.mktemp("viz") / "pre"
    return open_model(tiny.write_checkpoint(Path(folder), norm="pre", d_ff=250, positions="alibi"))


@pytest.fixture
def trace(tiny_model: OwnModel) -> Trace:
    return tiny_model.trace(tiny.TEXT, tiny.WRITTEN, pad_to=8)


@pytest.fixture
def pre_trace(pre_model: OwnModel) -> Trace:
    return pre_model.trace(tiny.TEXT, tiny.WRITTEN)
