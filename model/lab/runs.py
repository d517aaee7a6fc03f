"""Runs as jobs, for pages and notebooks: started, listed, watched, paused, resumed and stopped from any process.

run = start("copy", {"steps": 200})
status(run).state, status(run).step
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.errors import NothingToResume, TrainingBusy, TrainingNotWritten
from model.files.atomic import write_json
from model.files.regular import NotRegular, bytes_of
from model.lab import queue
from model.lab.files import (
    CONTROL,
    GO,
    HEARTBEAT,
    MEASURED,
    PAUSE,
    STOP,
    ask,
    folder_in,
    heartbeat_of,
    is_alive,
    wanted,
)  # fmt: skip
from model.lab.uploads import LIST, RUNS, sweep
from model.training.run_files.folder import NEW, RUN, run_of

HOME = Path(__file__).parents[2]  # where the package `model` lies
_OUTPUT = "output.txt"
_STARTING = 60.0  # seconds that a process may take until it holds its lock


@dataclass(frozen=True)
class Status:
    """How a run stands, from its folder alone.

    state: "starting", "queued", "running", "paused", "stopped", "killed" (its process is gone; resume goes on from its last
    checkpoint), "failed" (error says why) or "finished". step of steps, all seeds together. seconds_left: None where nothing
    is known. place: how many runs come before it where it is queued. last: the newest values of the log, by name. code, values:
    of the error, for whoever says it in another language. wanted: what was asked of it last, which it may be about to do.
    """

    folder: Path
    task: str
    state: str
    step: int
    steps: int
    seconds_left: float | None = None
    place: int | None = None
    error: str = ""
    last: Mapping[str, float] = field(default_factory=dict)
    code: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    wanted: str = GO

    @property
    def is_over(self) -> bool:
        """Whether no process works on it."""
        return self.state in ("stopped", "killed", "failed", "finished")

    @property
    def can_resume(self) -> bool:
        """Whether `resume` goes on with it."""
        return self.state in ("paused", "stopped", "killed", "failed")


def start(
    task: str | None, options: Mapping[str, Any] | None = None, out: str | Path | None = None, *, seeds: int = 1,
    lab: Path | None = None,
) -> Path:  # fmt: skip
    """Begin to train `task` with `options` (those of `python -m model train`, `-` as `_`) in a process of its own, which outlives
    this one; the folder of the run.

    out: the folder, else a new one in the lab's. lab: the folder of queue and list, else `lab_folder()`. Raises
    UnknownOption, BadOption, BadConfig, DataFileRefused, TooFewLines, TrainingThere or TrainingNotWritten before anything is
    started.
    """
    from model.training.options import checked, options_of
    from model.training.seeds import begin_seeds

    lab = lab or queue.lab_folder()
    settled = options_of(task, **(options or {}))
    if settled.data is not None:
        checked(settled)
    try:
        lab.mkdir(parents=True, exist_ok=True)
        sweep(lab, Path(settled.data) if settled.data else None)
        folder = begin_seeds(settled, out or _new_folder(lab, settled.task), seeds)
        _list(lab, folder)
        _launch(folder, lab)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TrainingNotWritten(path=error.filename or lab, reason=reason, step=0) from error
    return folder


def _list(lab: Path, folder: Path) -> None:
    """One more line of the list; half of one, which a full disk left, ends before it."""
    with open(lab / LIST, "ab+") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        begun = file.read(1) not in (b"", b"\n")
        file.write(b"\n" * begun + json.dumps({"folder": str(folder)}).encode() + b"\n")


def _new_folder(lab: Path, task: str) -> Path:
    number = 1
    while True:
        folder = lab / RUNS / f"{task}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _launch(folder: Path, lab: Path) -> None:
    """A process in a session of its own: neither the end of the app nor Ctrl-C at its terminal is its end."""
    (folder / CONTROL).unlink(missing_ok=True)
    told = {"step", "steps", *MEASURED}  # what it has reached stands while it waits too
    kept = {name: value for name, value in heartbeat_of(folder).items() if name in told}
    write_json(folder / HEARTBEAT, kept | {"state": "starting"}, sync=False)
    queue.leave(lab, folder)
    queue.take_ticket(lab, folder)
    command = [sys.executable, "-m", "model", "train", "--resume", str(folder), "--queue", str(lab.absolute())]
    with open(folder / _OUTPUT, "ab") as output:
        process = subprocess.Popen(
            command, cwd=HOME, stdin=subprocess.DEVNULL, stdout=output, stderr=output, close_fds=True,
            start_new_session=True, env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
    # While this process lives it has to ask how the other one ended, or that one stays in the list of processes.
    threading.Thread(target=process.wait, daemon=True).start()


def runs(lab: Path | None = None) -> list[Status]:
    """Of every run that was started in this lab and is still there, the newest first."""
    lab = lab or queue.lab_folder()
    try:
        lines = bytes_of(lab / LIST).splitlines()
    except (NotRegular, OSError):
        return []
    folders = dict.fromkeys(folder for line in reversed(lines) if (folder := folder_in(line)) is not None)
    return [status(folder, lab) for folder in folders if run_of(_found(folder)) is not None]


def _found(folder: Path) -> Path:
    """Where a run lies: one that took the place of another model has gone from the folder where it was made."""
    place = folder.with_name(folder.name.removesuffix(NEW))
    return folder if folder.exists() or run_of(place) is None else place


def status(run: str | Path, lab: Path | None = None) -> Status:
    """How the run in the folder `run` stands. Raises NothingToResume where there is none."""
    folder = _found(Path(run).absolute())
    told, beat = run_of(folder), heartbeat_of(folder)
    if told is None:
        raise NothingToResume(path=folder)
    options, state = told["options"], _state(folder, told, beat)
    steps = options["steps"] * max(1, len(told.get("seeds", ())))
    waits = state == "queued"
    failed = beat if state == "failed" else {}
    return Status(
        folder, options["task"], state, steps if state == "finished" else min(steps, beat.get("step", 0)), steps,
        beat.get("seconds_left") if state == "running" else None,
        queue.place(lab or queue.lab_folder(), folder) if waits else None,
        failed.get("error", ""), {name: beat[name] for name in MEASURED if name in beat},
        failed.get("code", ""), failed.get("values", {}), wanted(folder),
    )  # fmt: skip


def _state(folder: Path, told: Mapping[str, Any], beat: Mapping[str, Any]) -> str:
    if told.get("finished"):
        return "finished"
    last = beat.get("state", "starting")
    if is_alive(folder):
        return last
    if last in ("stopped", "failed"):
        return last
    began = (folder / RUN).stat().st_mtime
    launched = (folder / _OUTPUT).stat().st_mtime if (folder / _OUTPUT).exists() else began
    return "starting" if last == "starting" and time.time() - max(began, launched) < _STARTING else "killed"


def pause(run: str | Path) -> None:
    """Ask a run to save, to let others go first and to wait for `resume`."""
    _ask(run, PAUSE)


def stop(run: str | Path) -> None:
    """Ask a run to save and to end; `resume` goes on with it later."""
    _ask(run, STOP)


def resume(run: str | Path, lab: Path | None = None) -> None:
    """Go on with a paused run, or in a new process with one that was stopped, killed or failed, from its last checkpoint.

    Raises TrainingBusy where it is on its way, and TrainingNotWritten.
    """
    found = status(run, lab)
    if not found.can_resume:
        raise TrainingBusy(path=found.folder)
    if found.state == "paused":
        _ask(run, GO)
        return
    try:
        _launch(found.folder, lab or queue.lab_folder())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TrainingNotWritten(path=found.folder, reason=reason, step=found.step) from error


def _ask(run: str | Path, what: str) -> None:
    try:
        ask(Path(run).absolute(), what)
    except OSError as error:
        raise TrainingNotWritten(path=run, reason=(error.strerror or str(error)).lower(), step=0) from error
