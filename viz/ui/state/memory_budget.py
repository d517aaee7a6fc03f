"""What the server keeps for all its sessions, models, runs and what was drawn of them, within one budget of bytes.

What was used least recently goes first. A session that still looks at something holds it itself; what has gone is made
again when it is asked for.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from model.checkpoints.disk import cost
from model.checkpoints.record import malloc

BUDGET = "HEADLIGHT_MEMORY_BUDGET"
KINDS = ("models", "runs", "profiles", "pictures")
_SHARE = 0.25  # of the computer's memory
_MUCH = 2**26  # bytes that are worth a word to the system
_AGAIN = 1.0  # s, until a value is measured again: a run of a page asks for one many times, and each look takes 1–3 ms

Kept = TypeVar("Kept")


@dataclass(eq=False)
class _Entry:
    kind: str
    value: Any
    measure: Callable[[Any], int]
    size: int = 0
    measured: float = -float("inf")  # by the clock of `time.monotonic`


class MemoryBudget:
    """Values by kind and key, at most `most_bytes` of them together; the newest always stays, however large it is.

    It may be asked by several threads. `measure` is asked again when a value is used later, as some grow (what a page
    derives of a run is kept with it).
    """

    def __init__(self, most_bytes: int):
        self.most_bytes = most_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()  # the one used last at the end
        self._making: dict[Hashable, threading.Lock] = {}
        self._gone: list[tuple[str, weakref.ref[Any], int]] = []  # kind, value, bytes of what was let go
        self._lock = threading.Lock()

    def get(self, kind: str, key: Hashable, make: Callable[[], Kept], measure: Callable[[Kept], int]) -> Kept:
        """The value of `key`, made once even where several ask for it at the same time; what `make` raises is raised."""
        whole = (kind, key)
        with self._lock:
            making = self._making.setdefault(whole, threading.Lock())
        with making:
            try:
                with self._lock:
                    known = self._entries.get(whole)
                entry = known or _Entry(kind, make(), measure)
                if (now := time.monotonic()) - entry.measured > _AGAIN:
                    entry.size, entry.measured = entry.measure(entry.value), now
                with self._lock:
                    self._entries[whole] = entry
                    self._entries.move_to_end(whole)
                    freed = self._shrink()
                if freed > _MUCH:
                    malloc.give_back()
                return entry.value
            finally:
                with self._lock:
                    self._making.pop(whole, None)

    def _shrink(self) -> int:
        """Let the oldest go until the rest fits; how many bytes that were."""
        before = total = sum(entry.size for entry in self._entries.values())
        while total > self.most_bytes and len(self._entries) > 1:
            gone = self._entries.popitem(last=False)[1]
            total -= gone.size
            self._let_go(gone)
        return before - total

    def _let_go(self, entry: _Entry) -> None:
        with contextlib.suppress(TypeError):  # bytes and numbers, which are small or pictures
            self._gone.append((entry.kind, weakref.ref(entry.value), entry.size))

    def used(self) -> dict[str, tuple[int, int]]:
        """kind -> (how many values, their bytes), of the kinds of which there are any."""
        with self._lock:
            return _sums((entry.kind, entry.size) for entry in self._entries.values())

    def held_elsewhere(self) -> dict[str, tuple[int, int]]:
        """`used` of what was let go and is there all the same: a visit still looks at it, or it waits to be collected."""
        with self._lock:
            kept = {id(entry.value) for entry in self._entries.values()}
            self._gone = [one for one in self._gone if one[1]() is not None]
            # What was kept again is counted above; what was let go twice is there once.
            there = {id(value): (kind, size) for kind, value, size in ((k, ref(), s) for k, ref, s in self._gone)}
            return _sums(one for name, one in there.items() if name not in kept)

    def empty(self) -> None:
        """Let go of everything."""
        with self._lock:
            while self._entries:
                self._let_go(self._entries.popitem()[1])
        collect()
        malloc.give_back()

    def __len__(self) -> int:
        return len(self._entries)


def collect() -> None:
    """Free all garbage, also cycles of what was frozen with the modules (viz/ui/server.py) and dropped since."""
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()


def _sums(sizes: Iterable[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """(kind, bytes) of each -> kind -> (how many, their bytes), in the order of `KINDS`."""
    found: dict[str, tuple[int, int]] = {}
    for kind, size in sizes:
        count, total = found.get(kind, (0, 0))
        found[kind] = count + 1, total + size
    return {kind: found[kind] for kind in KINDS if kind in found}


@cache
def shared() -> MemoryBudget:
    """The budget of this server: HEADLIGHT_MEMORY_BUDGET ("2GB", "500MiB", "1000000"), else a quarter of its memory."""
    told = cost.bytes_told(os.environ.get(BUDGET, ""))
    return MemoryBudget(int(_SHARE * cost.total_memory()) if told is None else told)
