"""A training that is killed at any instant goes on to the very bits of one that was not, and its log has each step once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(os.name != "posix", reason="forks, and kills with SIGKILL")
def test_killed_at_twenty_random_instants_it_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.training.killed", str(tmp_path)], cwd=ROOT, capture_output=True,
        encoding="utf-8", env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["differing"] == []
    assert told["runs"] == 34 and told["killed"] >= 20  # the last instants may come after its end
    assert told["steps"] == list(range(1, 25))
