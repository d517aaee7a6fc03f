"""The append-only log of a run: a line of JSON a step; trackers (trackers.py) hear the same."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.training.run_files.trackers import Tracker

_EVERY = 0.2  # seconds between two times that readers see new lines


class Log:
    """log.jsonl, cut to `length` bytes when it is opened: what was written after the last checkpoint comes again."""

    def __init__(self, path: Path, length: int, trackers: Sequence[Tracker] = ()):
        self.trackers = trackers
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
        if self.trackers:
            numbers = {name: value for name, value in line.items() if name != "step" and isinstance(value, int | float)}
            for tracker in self.trackers:
                tracker.add(numbers, line["step"])

    def sync(self) -> int:
        """Bring everything to the disk -> how many bytes the log has."""
        self.file.flush()
        os.fsync(self.file.fileno())
        for tracker in self.trackers:
            tracker.flush()
        return self.file.tell()

    def close(self) -> None:
        """Raises OSError where the last lines find no room."""
        try:
            self.file.close()
        finally:
            for tracker in self.trackers:
                tracker.close()
