"""One run at a time: whoever comes later waits with a ticket in the lab's folder, in the order of coming."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from model.files.atomic import write_json
from model.files.regular import NotRegular, bytes_of
from model.lab.files import LOCK, folder_in, is_alive, lock_of

VARIABLE = "HEADLIGHT_LAB"
_TICKETS, _TICKET = "queue", re.compile(r"[0-9]{20}\.json")  # who waits
_TURN = "turn.json"  # who trains
_LARGEST = 2**16  # bytes of a ticket
_STARTING = 60.0  # seconds that a process may take from its ticket to its lock
_LOOK = 0.2


def lab_folder() -> Path:
    """HEADLIGHT_LAB, else `lab` in the folder of what is cached: where the queue, the list of runs and runs without a place of
    their own lie."""
    from model.checkpoints.convert.convert import cache_folder

    told = os.environ.get(VARIABLE)
    return Path(told).expanduser() if told else cache_folder() / "lab"


def take_ticket(lab: Path, folder: Path) -> None:
    """Put `folder` at the end of the queue. Raises OSError."""
    (lab / _TICKETS).mkdir(parents=True, exist_ok=True)
    write_json(lab / _TICKETS / f"{time.time_ns():020d}.json", {"folder": str(folder)}, sync=False)


def waiting(lab: Path) -> list[Path]:
    """The folders in the queue, first come first; tickets whose process is gone are thrown away."""
    found = []
    for ticket in _tickets(lab):
        folder = _folder_of(ticket)
        young = time.time() - int(ticket.stem) / 1e9 < _STARTING
        if folder is None or folder in found or not (is_alive(folder) or (young and folder.is_dir())):
            with suppress(OSError):
                ticket.unlink()
        else:
            found.append(folder)
    return found


def _tickets(lab: Path) -> list[Path]:
    """In the order of coming; what has another name is none."""
    return sorted(path for path in (lab / _TICKETS).glob("*.json") if _TICKET.fullmatch(path.name))


def _folder_of(ticket: Path) -> Path | None:
    try:
        return folder_in(bytes_of(ticket, _LARGEST))
    except (NotRegular, OSError):
        return None


def leave(lab: Path, folder: Path) -> None:
    """Throw the tickets of `folder` away."""
    for ticket in _tickets(lab):
        if _folder_of(ticket) == folder:
            with suppress(OSError):
                ticket.unlink()


def place(lab: Path, folder: Path) -> int | None:
    """How many runs come before this one, the running one counted; None where it is not in the queue."""
    queue = waiting(lab)
    first = _folder_of(lab / _TURN)
    trains = first is not None and first != folder and is_alive(first)
    return queue.index(folder) + trains if folder in queue else None


class Turn:
    """The right to train, held by one process of a lab at a time."""

    def __init__(self, lab: Path, folder: Path):
        self.lab, self.folder = lab, folder
        lab.mkdir(parents=True, exist_ok=True)
        self.lock = lock_of(lab / LOCK)

    def wait(self, look: Callable[[], None]) -> None:
        """Until it is this run's turn. look: called now and then, and ends the waiting by raising."""
        from filelock import Timeout

        if self.folder not in waiting(self.lab):
            take_ticket(self.lab, self.folder)
        try:
            while True:
                look()
                if waiting(self.lab)[:1] == [self.folder]:
                    with suppress(Timeout):
                        self.lock.acquire(timeout=0)
                        write_json(self.lab / _TURN, {"folder": str(self.folder)}, sync=False)
                        return
                time.sleep(_LOOK)
        finally:
            leave(self.lab, self.folder)

    def give_up(self) -> None:
        if self.lock.is_locked:
            with suppress(OSError):
                (self.lab / _TURN).unlink(missing_ok=True)
        self.lock.release()
