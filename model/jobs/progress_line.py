"""The progress line of long work on a terminal."""

from __future__ import annotations

import sys
import time


class ProgressLine:
    """One line that is written over where somebody looks; in a log, one every half a minute."""

    def __init__(self) -> None:
        self.watched = sys.stderr.isatty()
        self.every = 0.2 if self.watched else 30.0
        self.last, self.wide = time.monotonic(), 0

    def __call__(self, told: object, finished: bool) -> None:
        """told: how far the work is; finished: whether it is the last line, which a log does not need."""
        if time.monotonic() < self.last + self.every and not finished:
            return
        self.last, text = time.monotonic(), str(told)
        if self.watched:
            sys.stderr.write(f"\r{text.ljust(self.wide)}")
            self.wide = len(text)
        elif not finished:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self.wide:
            sys.stderr.write("\n")
