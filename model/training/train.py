"""Training runs: begun in a folder, gone on with from its last checkpoint, ended with a measured model and its history.

Whenever the process is killed, what lies in the folder is whole: `go_on` continues with the very bits of an uninterrupted run
on one thread, and the log has each step once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.errors import (
    DamagedTraining,
    DataChanged,
    NothingToResume,
    TrainingInterrupted,
    TrainingNotWritten,
    TrainingThere,
)
from model.files.atomic import PARTIAL, remove, write_json
from model.training import checkpoint
from model.training.options import Options, of_folder, options_of
from model.training.run_files.folder import (
    LOG,
    NEW,
    RUN,
    SNAPSHOTS,
    STATE,
    WEIGHTS,
    check_log,
    run_of,
    snapshot,
    steps_of,
)
from model.training.run_files.log import Log
from model.training.run_files.place import default_folder, on_the_way, place_of, put_in_place
from model.training.run_files.state import put_state, read_state, write_state
from model.training.run_files.trackers import trackers
from model.training.tasks.registry import task_of
from model.training.trainer import Trainer

RARELY = 50  # times as long as a checkpoint took pass before the next one, so that they are no more than a fiftieth of the time
# Called with the run after each step and the step's line; it may wait (pause), and ends the run by raising StopTraining.
OnStep = Callable[["Run", dict[str, Any]], None]


class StopTraining(Exception):
    """What a listener raises to end a run after a step; the run is saved first, and can be gone on with."""


def snapshot_steps(steps: int, count: int) -> frozenset[int]:
    """About `count` steps from 0 to the last, evenly spread over log(step); none for 0."""
    if not count:
        return frozenset()
    spread = np.geomspace(1, steps, max(1, count - 1)).round().astype(int)
    return frozenset({0, *map(int, spread), steps})


def begin(options: Options, out: str | Path) -> Path:
    """Write the options of a run that is to be made in `out`, and give the folder where it is made.

    That is `out`; where a trained model lies there it is `out`.new, whose files take the place of the old ones at the end.
    Raises TrainingThere or TrainingNotWritten.
    """
    folder = Path(out).absolute()
    folder = folder.resolve() if folder.is_symlink() else folder  # a link stays one
    told, new = run_of(folder), folder.with_name(folder.name + NEW)
    if told is not None and not told.get("finished"):
        raise TrainingThere(path=folder)
    if on_the_way(folder) == new or ((folder / WEIGHTS).exists() and run_of(new) is not None):
        raise TrainingThere(path=new)
    if (folder / WEIGHTS).exists():
        options, folder = Options(**(vars(options) | {"replaces": str(folder)})), new
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if told is not None:
            remove([folder / LOG])  # of a run whose weights are gone
        write_json(folder / RUN, {"options": options.to_dict(), "finished": False})
    except OSError as error:
        raise TrainingNotWritten(path=folder, reason=_reason(error), step=0) from error
    return folder


class Run:
    """A run in its folder, on the way: the trainer, what is written when, and the step of the last checkpoint.

    seed_number, seeds: which of how many runs it is that differ by their seed.
    """

    def __init__(self, folder: Path, options: Options, seed_number: int = 0, seeds: int = 1):
        self.folder, self.options, self.seed_number, self.seeds = folder, options, seed_number, seeds
        self.kept = snapshot_steps(options.steps, options.snapshots)
        self.saved, self.due = 0, 0.0
        task = task_of(options.task, options.data)
        self.trainer = Trainer(task, options, task.data(options))
        self.log: Log

    def open(self) -> None:
        """Go to the last checkpoint, and take back what was written after it; without one, to the beginning."""
        state = self.folder / STATE
        log_bytes = self._go_to(*read_state(state)) if state.exists() else 0
        if not state.exists() and _size(self.folder / LOG):
            raise DamagedTraining(path=self.folder, reason=f"its {LOG} tells of steps, and its {STATE} is gone")
        remove(self.folder.glob(f"*{PARTIAL}"))
        remove((self.folder / SNAPSHOTS).glob(f"*{PARTIAL}"))
        remove(snapshot(self.folder, step) for step in steps_of(self.folder) if step > self.saved)
        told_too = trackers(self.folder, self.saved, self.options.log_dir, self.options.trackio)
        self.log = Log(self.folder / LOG, log_bytes, told_too)
        if not state.exists():
            checkpoint.write_model(self.folder, self.trainer, checkpoint.beginning(self.trainer))
            self.snapshot()
            self.save()

    def _go_to(self, tensors: dict[str, Tensor], told: dict[str, Any]) -> int:
        """Make the trainer what it was at a checkpoint -> how many bytes the log had. Raises DataChanged or DamagedTraining."""
        # Runs begun by earlier versions tell of their training examples alone.
        whole = told.get("whole") or self.trainer.whole_hash
        if (told["data"], whole) != (self.trainer.data_hash, self.trainer.whole_hash):
            raise DataChanged(path=self.folder)
        if told["step"] > self.options.steps or told["taken"] > len(self.trainer.batches.data):
            raise DamagedTraining(path=self.folder, reason=f"{STATE} does not fit its options")
        check_log(self.folder, told["log_bytes"], told["step"])
        try:
            put_state(self.trainer, tensors, told)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise DamagedTraining(path=self.folder, reason=f"{STATE} does not fit its options") from error
        self.saved = self.trainer.step
        return told["log_bytes"]

    def save(self) -> None:
        """A checkpoint of this step: what was logged, then the weights, and last the state that says that all is there."""
        began = time.monotonic()
        log_bytes = self.log.sync()
        checkpoint.write_weights(self.folder / WEIGHTS, self.trainer.average)
        write_state(self.folder / STATE, self.trainer, log_bytes)
        self.saved, now = self.trainer.step, time.monotonic()
        self.due = now + max(self.options.save_seconds, RARELY * (now - began))

    def snapshot(self) -> None:
        """The weights of this step, where they are among those that are kept; a resume takes those after its checkpoint back."""
        if self.trainer.step in self.kept:
            (self.folder / SNAPSHOTS).mkdir(exist_ok=True)
            checkpoint.write_weights(snapshot(self.folder, self.trainer.step), self.trainer.average)

    def steps(self, on_step: OnStep | None) -> None:
        """All that are left. Raises StopTraining, after it was saved, where the listener does."""
        trainer = self.trainer
        while trainer.step < self.options.steps:
            line = trainer.advance()
            self.log.add(line)
            self.snapshot()
            if trainer.step == self.options.steps or time.monotonic() >= self.due:
                self.save()
            if on_step:
                try:
                    on_step(self, line)
                except StopTraining:
                    if self.saved != trainer.step:
                        self.save()
                    raise

    def finish(self) -> dict[str, Any]:
        """Measure the model, write it with its card, and put it where it belongs."""
        card = checkpoint.card_of(self.trainer, self.folder)
        checkpoint.write_model(self.folder, self.trainer, card)
        write_json(self.folder / RUN, {"options": self.options.to_dict(), "finished": True})
        remove([self.folder / STATE])
        return card


def go_on(folder: str | Path, on_step: OnStep | None = None, seed_number: int = 0, seeds: int = 1) -> str:
    """Train the run in `folder` from its last checkpoint to its end; says what it did.

    Raises NothingToResume, DataChanged, DamagedTraining, TrainingNotWritten (no room, no permission; the last checkpoint
    stays), TrainingInterrupted (StopTraining of the listener), and what reading the data raises.
    """
    folder = on_the_way(Path(folder).absolute())
    told = run_of(folder)
    if told is None:
        raise NothingToResume(path=folder)
    options = of_folder(folder, told["options"])
    place_of(folder, options.replaces)
    if told.get("finished") and options.replaces is not None:
        return f"{_in_place(folder, options)}: {options.steps} steps"
    if told.get("finished"):
        return f"{folder}: finished already, after {options.steps} steps"
    threads = torch.get_num_threads()
    # The sums of two threads differ in their last bits, and small matrices gain nothing.
    torch.set_num_threads(options.threads)
    run = None
    try:
        run = Run(folder, options, seed_number, seeds)
        run.open()
        run.steps(on_step)
        card = run.finish()
        return f"{_in_place(folder, options)}: {options.steps} steps in {run.trainer.seconds:.0f} s; {_result(card)}"
    except OSError as error:
        raise TrainingNotWritten(path=folder, reason=_reason(error), step=run.saved if run else 0) from error
    except StopTraining:
        raise TrainingInterrupted(step=run.trainer.step, steps=options.steps, path=folder) from None
    finally:
        torch.set_num_threads(threads)
        with suppress(AttributeError, OSError):
            run.log.close()


def _result(card: dict[str, Any]) -> str:
    if scores := card.get("test"):
        return "exact match on the test set: " + ", ".join(f"{k} {v['exact_match']:.2%}" for k, v in scores.items())
    held = card["held_out"]
    return f"loss on the test set: {held['validation_loss']:.3f}, perplexity {held['perplexity']:.3g}"


def _in_place(folder: Path, options: Options) -> Path:
    try:
        return put_in_place(folder, options.to_dict())
    except OSError as error:
        raise TrainingNotWritten(path=options.replaces, reason=_reason(error), step=options.steps) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def train(name: str | None, out: str | Path | None = None, on_step: OnStep | None = None, **given: Any) -> str:
    """Train the task `name` with the options `given` and write the folder `out` (else `default_folder`); says what it did. A
    trained model that is there is replaced only at the very end."""
    options = options_of(name, **given)
    return go_on(begin(options, out or default_folder(options.task)), on_step)
