"""Progress of a profile: texts measured, refused and left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from model.profile import table

SAVED = 5.0  # seconds of work that a kill may cost, or one text where that takes longer


@dataclass
class Progress:
    """Counts of texts; `on_progress(self)` is called after each text.

    done and refused count what earlier runs did, `fresh` does not.
    there: nothing was left to do, because the result is there.
    """

    count: int
    on_progress: Callable[[Progress], None]
    done: int = 0
    refused: int = 0
    fresh: int = 0
    there: bool = False
    started: float = 0.0

    def begin(self, answered: pa.Table) -> None:
        """Count what an earlier run has answered."""
        measured, refused = table.counted(answered)
        self.done, self.refused = self.done + measured + refused, self.refused + refused
        self.started = self.started or time.monotonic()

    def add(self, answered: pa.Table) -> None:
        before = self.done
        self.begin(answered)
        self.fresh += self.done - before
        self.on_progress(self)

    @property
    def rate(self) -> float:
        """Texts a second in this run."""
        return self.fresh / max(time.monotonic() - self.started, 1e-9) if self.fresh else 0.0

    def __str__(self) -> str:
        left = (self.count - self.done) / self.rate if self.rate else 0.0
        minutes, seconds = divmod(round(left), 60)
        refused = f" · {self.refused:,} refused" if self.refused else ""
        return (
            f"{self.done:,} of {self.count:,} texts{refused} · {self.rate:.3g} texts/s · "
            f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left"
        )
