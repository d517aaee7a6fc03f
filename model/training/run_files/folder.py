"""Where things lie in a training folder, which is a checkpoint of ours with its history beside it.

weights.safetensors, config.json, vocabulary.json, card.json      the averaged weights of the last checkpoint
log.jsonl                       a line a step: step, loss, learning_rate, gradient_norm; of some the evaluation too
snapshots/step-00000100.safetensors                               weights alone, at steps spread over log(step)
run.json                        the options, written before anything is trained
resume.safetensors              what a resume needs: weights, averages, Adam's moments, random states, the place in the data
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.files.regular import NotRegular, bytes_of, json_of

LOG, RUN, STATE, SNAPSHOTS, WEIGHTS = "log.jsonl", "run.json", "resume.safetensors", "snapshots", "weights.safetensors"
NEW = ".new"  # ends the name of the folder where a run is made that takes the place of another model
_SNAPSHOT = re.compile(r"step-(\d{8,12})\.safetensors")
LONGEST_LOG = 2**30


def snapshot(folder: Path, step: int) -> Path:
    """The file of the weights after `step` steps; 0 is before the first."""
    return folder / SNAPSHOTS / f"step-{step:08d}.safetensors"


def steps_of(folder: Path) -> list[int]:
    """The steps that have a snapshot, in order; none where there is no history."""
    try:
        found = [_SNAPSHOT.fullmatch(path.name) for path in (folder / SNAPSHOTS).iterdir()]
    except OSError:
        return []
    return sorted(int(name[1]) for name in found if name)


def log_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of the log; one that is being written, at the end, is left out. Nothing where there is no log."""
    try:
        whole = bytes_of(folder / LOG, LONGEST_LOG)
    except (NotRegular, OSError):
        return
    for line in whole.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield json.loads(line)


def run_of(folder: Path) -> dict[str, Any] | None:
    """{"options", "finished"} of the run in a folder; None where there is none that can be read."""
    try:
        told = json_of(folder / RUN)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("options"), dict) else None
