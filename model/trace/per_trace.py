"""A cache of results by trace (or by the record of one sub-layer), which lives as long as that does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

Found = TypeVar("Found")


_all: WeakSet[PerTrace] = WeakSet()


def derived_bytes(*owners: object) -> int:
    """Bytes of everything that is kept of these traces or records."""
    return sum(cache.bytes_of(owner) for cache in tuple(_all) for owner in owners)


class PerTrace(Generic[Found]):
    """Results by (trace or record, key). Neither a trace nor a record ever changes, so nothing kept here grows old.

    It may be asked by several threads. Two that ask for the same at once may both compute it; the first result stays.
    """

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[object, dict[Hashable, Found]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        _all.add(self)

    def get(self, owner: object, key: Hashable, compute: Callable[[], Found]) -> Found:
        """What `compute` gave for this trace or record and this key the first time. What it raises is raised, not kept."""
        with self._lock:
            kept = self._found.setdefault(owner, {})
            if key in kept:
                return kept[key]
        found = compute()  # outside of the lock: it may take seconds, and may ask for other keys
        with self._lock:
            return kept.setdefault(key, found)

    def has(self, owner: object, key: Hashable) -> bool:
        """Whether `get` would answer at once."""
        with self._lock:
            return key in self._found.get(owner, {})

    def bytes_of(self, owner: object) -> int:
        """Bytes of what is kept of one trace or record."""
        from model.jobs.held_bytes import held_bytes  # torch, which the first page waits for long enough

        with self._lock:
            kept = dict(self._found.get(owner, {}))
        return held_bytes(kept)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._found.clear()
