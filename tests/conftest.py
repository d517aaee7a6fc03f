"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]

# Two contending threads are slower than one for models of this size.
torch.set_num_threads(1)

# A file goes to one process: these take longest and begin first, so that none is left for one process at the end.
LONGEST = ("test_walk.py", "test_profile.py", "test_checkpoints.py", "test_pages.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shipped: holds for the weights that ship, not for any trained ones")
    config.addinivalue_line("markers", "real_weights: needs a package that brings trained weights; skipped without it")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def translator():
    """The `translate` checkpoint that ships, as an independent caller opens it."""
    from model import open_model

    return open_model("translate")
