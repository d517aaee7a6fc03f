"""What a log holds so far, read as it grows: each quantity over the steps, and the last sentences that were written."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.files.regular import NotRegular, opened, parsed
from model.training.run_files.folder import LOG, LONGEST_LOG
from model.training.run_files.schemas import checked

_KEPT = 2  # evaluations whose sentences are kept: the last, and the one that it is held against


@dataclass(frozen=True)
class Curve:
    """One quantity at some steps; low and high where several seeds are shown as their mean."""

    steps: Sequence[int]
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


class Curves:
    """The log of one run. `read` takes what was written since the last time, also where a resume took lines back."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._begin()

    def _begin(self) -> None:
        self.offset, self.step = 0, 0
        self.found: dict[str, tuple[array[int], array[float]]] = {}
        self.probes: list[tuple[int, list[dict[str, Any]]]] = []
        self.signature = ""

    def read(self) -> Curves:
        """Up to the last whole line; a log that is not there, or holds something else, is an empty one."""
        try:
            with opened(self.folder / LOG, LONGEST_LOG) as file:
                if file.seek(0, 2) < self.offset or not self._took(file):
                    self._begin()
                    self._took(file)
        except (NotRegular, OSError):
            self._begin()
        return self

    def _took(self, file: Any) -> bool:
        """Whether what follows goes on where the last reading ended; it does not where a resume wrote these lines anew."""
        file.seek(self.offset)
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                told = checked("line", parsed(line))
                if told["step"] != self.step + 1:
                    return False
            except ValueError:
                return False
            self._add(told)
            self.offset += len(line)
        return True

    def _add(self, told: dict[str, Any]) -> None:
        self.step = told["step"]
        for name, value in told.items():
            if name != "step" and isinstance(value, int | float) and (isinstance(value, float) or abs(value) < 2**53):
                steps, values = self.found.setdefault(name, (array("q"), array("d")))
                steps.append(self.step)
                values.append(value)
        if "probes" in told:
            self.probes = [*self.probes, (self.step, told["probes"])][-_KEPT:]
        self.signature = told.get("signature", self.signature)

    @property
    def quantities(self) -> list[str]:
        """The names of what was logged, in the order of their coming."""
        return list(self.found)

    def curve(self, quantity: str) -> Curve:
        """Every value of one quantity; nothing where it was not logged."""
        return Curve(*self.found.get(quantity, ((), ())))


def together(logs: Sequence[Curves], quantity: str) -> Curve:
    """One quantity of a run from several seeds: mean, least and largest at the steps that all of them have; of one its curve."""
    if len(logs) == 1:
        return logs[0].curve(quantity)
    curves = [dict(zip(one.steps, one.values, strict=True)) for one in (log.curve(quantity) for log in logs)]
    curves = [curve for curve in curves if curve]  # a seed that has not begun yet
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    rows = np.array([[curve[step] for step in steps] for curve in curves]).reshape(len(curves), len(steps))
    if len(curves) < 2:
        return Curve(steps, rows[0].tolist() if curves else [])
    return Curve(steps, rows.mean(0).tolist(), rows.min(0).tolist(), rows.max(0).tolist())


def thinned(curve: Curve, most: int) -> Curve:
    """A curve of at most `most` points: each the mean of as many neighbours, drawn at the last of them; of a band its ends."""
    each = -(-len(curve.steps) // most)
    if each <= 1:
        return curve
    firsts = np.arange(0, len(curve.steps), each)
    counts = np.diff(np.append(firsts, len(curve.steps)))
    means = np.add.reduceat(np.asarray(curve.values, float), firsts) / counts
    low, high = (
        None if values is None else end.reduceat(np.asarray(values, float), firsts).tolist()
        for values, end in ((curve.low, np.minimum), (curve.high, np.maximum))
    )
    lasts = np.asarray(curve.steps)[firsts + counts - 1]
    return Curve(lasts.tolist(), means.tolist(), low, high)
