"""The process of a run: it waits for its turn, trains, beats, and does what its control file asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.errors import HeadlightError, LacksPackage, NothingToResume, TrainingBusy, TrainingInterrupted, Unexpected
from model.jobs.signals import until_signal
from model.lab.files import LOCK, MEASURED, PAUSE, STOP, heartbeat_of, lock_of, wanted, write_heartbeat
from model.lab.queue import Turn
from model.training.run_files.folder import run_of
from model.training.run_files.place import on_the_way
from model.training.seeds import go_on
from model.training.train import Run, StopTraining

_BEAT, _LOOK = 0.5, 0.25  # seconds between two heartbeats, and between two looks at the control file


class Job:
    """One run on the way, as its heartbeat tells it."""

    def __init__(self, folder: Path, turn: Turn | None, show: Callable[[dict[str, Any], bool], None] | None = None):
        self.folder, self.turn, self.show = folder, turn, show
        self.told: dict[str, Any] = {**heartbeat_of(folder), "state": "starting", "error": "", "code": "", "values": {},
                                     "seconds_left": None}  # fmt: skip
        self.ended = threading.Event()
        self.stopped: Callable[[], bool] = lambda: False
        self.looked, self.began, self.steps_made = 0.0, 0.0, 0

    def state(self, state: str, **more: Any) -> None:
        """Say it at once."""
        self.told = {**self.told, "state": state, **more}
        write_heartbeat(self.folder, self.told)

    def beat(self) -> None:
        """In a thread of its own: a long step is no sign of death."""
        while not self.ended.wait(_BEAT):
            write_heartbeat(self.folder, self.told)

    def look(self) -> None:
        """Raises StopTraining where somebody wants an end."""
        if self.stopped() or wanted(self.folder) == STOP:
            raise StopTraining

    def on_step(self, run: Run, line: dict[str, Any]) -> None:
        """What a step says; pauses and stops where that is wanted."""
        now, steps = time.monotonic(), run.options.steps * run.seeds
        self.steps_made += 1
        self.began = self.began or now
        step = run.options.steps * run.seed_number + line["step"]
        rate = (self.steps_made - 1) / (now - self.began) if self.steps_made > 1 else None
        left = None if rate is None else (steps - step) / rate
        self.told = {**self.told, "state": "running", "step": step, "steps": steps, "steps_per_second": rate,
                     "seconds_left": left, **{name: line[name] for name in MEASURED if name in line}}  # fmt: skip
        if self.show:
            self.show(self.told, step == steps)
        if now >= self.looked + _LOOK:
            self.looked = now
            self.look()
            if wanted(self.folder) == PAUSE:
                self._pause(run)

    def _pause(self, run: Run) -> None:
        """Saved, and out of the way of other runs, until somebody wants it to go on."""
        run.save()
        if self.turn:
            self.turn.give_up()
        self.state("paused", seconds_left=None)
        while wanted(self.folder) == PAUSE:
            self.look()
            time.sleep(_LOOK)
        self.look()
        if self.turn:
            self.state("queued")
            self.turn.wait(self.look)
        self.state("running")
        self.began, self.steps_made = 0.0, 0


def work(
    folder: str | Path, lab: Path | None = None, show: Callable[[dict[str, Any], bool], None] | None = None
) -> str:
    """Train the run in `folder` to its end in this process, from its last checkpoint; says what was done.

    lab: the folder whose queue it waits in, None for none. show(heartbeat, whether it is the last): called after every step.
    Raises TrainingBusy where another process does it already, and what `go_on` raises, each of one sentence.
    """
    from filelock import Timeout

    folder = on_the_way(Path(folder).absolute())
    if run_of(folder) is None:
        raise NothingToResume(path=folder)
    lock = lock_of(folder / LOCK)
    try:
        lock.acquire(timeout=2)  # whoever asks whether it is held holds it for a moment
    except Timeout:
        raise TrainingBusy(path=folder) from None
    try:
        return _worked(Job(folder, Turn(lab, folder) if lab else None, show))
    finally:
        lock.release()


def _worked(job: Job) -> str:
    thread = threading.Thread(target=job.beat, daemon=True)
    thread.start()
    try:
        with until_signal() as job.stopped:
            if job.turn:
                job.state("queued")
                job.turn.wait(job.look)
            job.state("running")
            said = go_on(job.folder, job.on_step)
        job.state("finished", seconds_left=0, said=said)
        return said
    except (StopTraining, TrainingInterrupted) as error:
        job.state("stopped", seconds_left=None)
        if isinstance(error, TrainingInterrupted):
            raise
        raise TrainingInterrupted(
            step=job.told.get("step", 0), steps=job.told.get("steps", 0), path=job.folder
        ) from None
    except Exception as error:
        told = error if isinstance(error, HeadlightError) else Unexpected.of(error)
        values = {name: str(value) for name, value in told.values.items()}
        job.state("failed", error=str(told), code=told.code, values=values, seconds_left=None)
        if isinstance(told, LacksPackage):
            raise told from error
        raise
    finally:
        job.ended.set()
        thread.join()
        if job.turn:
            job.turn.give_up()
