"""The latest runs, shared by the server's sessions and bounded by what they hold: a long one can be a gigabyte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from cachetools import LRUCache

if TYPE_CHECKING:
    from model.trace.trace import Trace

MOST_BYTES = 2 * 2**30
MOST = 64


class TraceCache:
    """Traces by their key, the oldest gone first when they hold more than `most_bytes`; the newest always stays."""

    def __init__(self, most_bytes: int = MOST_BYTES, most: int = MOST):
        self.most = most
        # One that is larger than the whole counts as the whole, so that it is kept alone.
        self._traces: LRUCache = LRUCache(most_bytes, lambda trace: min(trace.nbytes(), most_bytes))
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Trace]) -> Trace:
        """The trace of `key`, made once even where two sessions ask for it at the same time; what `make` raises is raised."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._traces:
                    return self._traces[key]
            try:
                trace = make()
                with self._lock:
                    self._traces[key] = trace
                    while len(self._traces) > self.most:
                        self._traces.popitem()
                return trace
            finally:
                with self._lock:
                    self._making.pop(key, None)

    def __len__(self) -> int:
        return len(self._traces)
