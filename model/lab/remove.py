"""Runs that are deleted: of the lab's own folder, and nothing else."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from model.errors import TrainingBusy, TrainingNotWritten
from model.errors.training import RunElsewhere
from model.lab import queue
from model.lab.files import LOCK, lock_of
from model.lab.runs import status
from model.lab.uploads import DATA, GONE, RUNS, data_of, in_use, is_child


def deletable(run: Path, lab: Path | None = None) -> bool:
    """Whether `run` is a folder of this lab's own, and no link or way out of it."""
    home = (lab or queue.lab_folder()) / RUNS
    return is_child(Path(run).absolute(), home)


def delete(run: Path | str, lab: Path | None = None) -> None:
    """Delete a run that no process works on, and what was handed in for it where no other run is trained on that.

    Raises NothingToResume, RunElsewhere for a folder that is not the lab's own, TrainingBusy, and TrainingNotWritten.
    """
    from filelock import Timeout

    lab = lab or queue.lab_folder()
    found = status(run, lab)
    folder = found.folder
    if not deletable(folder, lab):
        raise RunElsewhere(path=folder, allowed=lab / RUNS)
    if not found.is_over:
        raise TrainingBusy(path=folder)
    data = data_of(folder)
    aside = folder.with_name(f"{folder.name}{GONE}{time.time_ns()}")
    try:
        with lock_of(folder / LOCK).acquire(timeout=0):  # nobody goes on with it meanwhile
            folder.rename(aside)
        shutil.rmtree(aside)
        if data is not None and is_child(data.parent, lab / DATA) and data.parent.resolve() not in in_use(lab):
            shutil.rmtree(data.parent)
    except Timeout:
        raise TrainingBusy(path=folder) from None
    except OSError as error:
        raise TrainingNotWritten(path=folder, reason=(error.strerror or str(error)).lower(), step=found.step) from error
