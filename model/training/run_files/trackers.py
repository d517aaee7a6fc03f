"""What hears the numbers of every step beside the log, where asked for: TensorBoard's event files, and trackio."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from model.errors import LacksPackage


@runtime_checkable
class Tracker(Protocol):
    """Hears the numbers of a step by name."""

    def add(self, numbers: Mapping[str, float], step: int) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


def trackers(folder: Path, step: int, log_dir: str | None, project: str | None) -> list[Tracker]:
    """Those that a run in `folder` asks for, which goes on after `step`. Raises LacksPackage."""
    found: list[Tracker] = [TensorBoard(log_dir, step)] if log_dir else []
    return found + ([Trackio(project, folder)] if project else [])


class TensorBoard:
    """Event files in `log_dir`; what they have of later steps than `step` counts no more."""

    def __init__(self, log_dir: str, step: int):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise LacksPackage(package="tensorboard", command="pip install tensorboard") from error
        self.writer: Any = SummaryWriter(log_dir, purge_step=step + 1 if step else None)

    def add(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def flush(self) -> None:
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class Trackio:
    """A run of trackio's local `project`, on this machine alone; a resumed training goes on in it, and says the steps after its
    last checkpoint again, with the same numbers."""

    def __init__(self, project: str, folder: Path):
        try:
            import trackio
        except ModuleNotFoundError as error:
            raise LacksPackage(package="trackio", command="pip install trackio") from error
        # Two folders of one name are two runs.
        name = f"{folder.name}-{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:6]}"
        with contextlib.redirect_stdout(io.StringIO()):  # it greets
            self.run: Any = trackio.init(
                project, name, resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False
            )

    def add(self, numbers: Mapping[str, float], step: int) -> None:
        self.run.log(dict(numbers), step=step)

    def flush(self) -> None:
        """It writes by itself, a few times a second."""

    def close(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.run.finish()
