"""Where things lie in a training folder, which is a checkpoint of ours with its history beside it.

weights.safetensors, config.json, vocabulary.json, card.json      the averaged weights of the last checkpoint
log.jsonl                       a line a step: step, loss, learning_rate, gradient_norm; of some the evaluation too
snapshots/step-00000100.safetensors                               weights alone, at steps spread over log(step)
run.json                        the options, written before anything is trained
resume.safetensors              what a resume needs: weights, averages, Adam's moments, random states, the place in the data
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.errors import DamagedTraining
from model.files.regular import NotRegular, bytes_of, json_of, opened, parsed
from model.training.run_files.schemas import checked

LOG, RUN, STATE, SNAPSHOTS, WEIGHTS = "log.jsonl", "run.json", "resume.safetensors", "snapshots", "weights.safetensors"
NEW, OLD = (
    ".new",
    ".replaced",
)  # ends the name of the folder where a run is made that takes the place of another model, and of that model then
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
    """The lines of the log; one that is being written, at the end, is left out. Nothing where there is no log. Raises ValueError
    at a line that is none."""
    try:
        whole = bytes_of(folder / LOG, LONGEST_LOG)
    except (NotRegular, OSError):
        return
    for line in whole.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield checked("line", parsed(line))


def check_log(folder: Path, length: int, steps: int) -> None:
    """Whether the first `length` bytes of the log are the lines of `steps` steps. Raises DamagedTraining."""
    reason = f"its {LOG} has not the {steps:,} lines that its checkpoint tells of"
    try:
        with opened(folder / LOG, LONGEST_LOG) as file:
            whole = file.read(length)
        lines = whole.splitlines(keepends=True)
        right = len(whole) == length and len(lines) == steps and whole[-1:] in (b"", b"\n")
        if right and all(checked("step", parsed(line))["step"] == at for at, line in enumerate(lines, 1)):
            return
    except FileNotFoundError:
        reason = f"its {LOG} is gone"
    except NotRegular as error:
        reason = str(error)
    except (OSError, ValueError) as error:
        raise DamagedTraining(path=folder, reason=reason) from error
    raise DamagedTraining(path=folder, reason=reason)


def run_of(folder: Path) -> dict[str, Any] | None:
    """{"options", "finished", "seeds"} of the run in a folder; None where there is none that can be read."""
    try:
        return checked("run", json_of(folder / RUN))
    except (OSError, ValueError):
        return None
