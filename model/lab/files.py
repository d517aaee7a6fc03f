"""What a job and whoever watches it tell each other through files of the run's folder: heartbeat, control, a lock while it lives.

heartbeat.json   {"state", "step", "steps", "seconds_left", "error", "time", "pid", …}, every half second
control.json     {"wanted": "go", "pause" or "stop"}
lock             held by the process for as long as it lives: no number of a process that another one may get later
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from model.files.atomic import write_json
from model.files.regular import json_of, parsed
from model.training.run_files.schemas import checked

HEARTBEAT, CONTROL, LOCK = "heartbeat.json", "control.json", "lock"
GO, PAUSE, STOP = "go", "pause", "stop"
# Numbers of the log that a heartbeat repeats.
MEASURED = (
    "loss", "validation_loss", "perplexity", "learning_rate", "gradient_norm", "exact_match", "bleu", "chrf", "accuracy",
)  # fmt: skip
_QUIET = 15.0  # seconds without a heartbeat after which a run is taken for dead where its lock cannot be asked


def lock_of(path: Path) -> Any:
    """A lock that ends with its process, however that ends."""
    from filelock import FileLock

    return FileLock(path, mode=0o644)


def heartbeat_of(folder: Path) -> dict[str, Any]:
    """What a run said of itself last; {} where nothing that can be read."""
    told = read(folder / HEARTBEAT)
    try:
        return checked("heartbeat", told)
    except ValueError:
        return {}


def folder_in(text: str | bytes) -> Path | None:
    """The folder of an entry of the list of runs or of the queue; None where it is none."""
    try:
        return Path(checked("entry", parsed(text))["folder"])
    except ValueError:
        return None


def is_alive(folder: Path) -> bool:
    """Whether a process works in `folder`: somebody holds its lock, or it beat just now where the lock may not be asked."""
    from filelock import Timeout

    path = folder / LOCK
    if not path.exists():
        return False
    try:
        with lock_of(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return time.time() - heartbeat_of(folder).get("time", 0) < _QUIET


def read(path: Path) -> dict[str, Any]:
    """A table of JSON; {} where there is none that can be read."""
    try:
        told = json_of(path)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def write_heartbeat(folder: Path, told: dict[str, Any]) -> None:
    """In one step where there is room; on a full disk over the old one, which takes no new room. Never raises OSError."""
    told = told | {"time": time.time(), "pid": os.getpid()}
    try:
        write_json(folder / HEARTBEAT, told, sync=False)
    except OSError:
        with suppress(OSError), open(folder / HEARTBEAT, "r+b") as file:
            file.write(json.dumps(told, ensure_ascii=False).encode())
            file.truncate()


def wanted(folder: Path) -> str:
    """What was asked of the job last: `GO` where nothing was."""
    told = read(folder / CONTROL).get("wanted")
    return told if told in (PAUSE, STOP) else GO


def ask(folder: Path, what: str) -> None:
    """Ask the job for `GO`, `PAUSE` or `STOP`. Raises OSError."""
    write_json(folder / CONTROL, {"wanted": what}, sync=False)
