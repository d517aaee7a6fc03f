"""The append-only log of a run: a line of JSON a step; and the same as TensorBoard's event files, where asked for."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from model.errors import LacksPackage

_EVERY = 0.2  # seconds between two times that readers see new lines


class Log:
    """log.jsonl, cut to `length` bytes when it is opened: what was written after the last checkpoint comes again."""

    def __init__(self, path: Path, length: int, log_dir: str | None = None, step: int = 0):
        self.events = _events(log_dir, step) if log_dir else None
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        os.ftruncate(descriptor, length)
        self.file = os.fdopen(descriptor, "r+b")
        self.file.seek(length)
        self.flushed = time.monotonic()

    def add(self, line: dict[str, Any]) -> None:
        """Append the line of a step."""
        self.file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        if time.monotonic() >= self.flushed + _EVERY or "validation_loss" in line:
            self.file.flush()
            self.flushed = time.monotonic()
        if self.events is not None:
            for name, value in line.items():
                if name != "step" and isinstance(value, int | float):
                    self.events.add_scalar(name, value, line["step"])

    def sync(self) -> int:
        """Bring everything to the disk -> how many bytes the log has."""
        self.file.flush()
        os.fsync(self.file.fileno())
        if self.events is not None:
            self.events.flush()
        return self.file.tell()

    def close(self) -> None:
        """Raises OSError where the last lines find no room."""
        try:
            self.file.close()
        finally:
            if self.events is not None:
                self.events.close()


def _events(log_dir: str, step: int) -> Any:
    """TensorBoard's writer; what it has of later steps than `step` counts no more. Raises LacksPackage."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise LacksPackage(package="tensorboard", command="pip install tensorboard") from error
    return SummaryWriter(log_dir, purge_step=step + 1 if step else None)
