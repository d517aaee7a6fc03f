"""The latest runs, shared by the server's sessions and bounded by what they hold: a long one can be a gigabyte."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.trace.trace import Trace

MOST_BYTES = 2 * 2**30
MOST = 64


class TraceCache:
    """Traces by their key, the oldest gone first when they hold more than `most_bytes`; the newest always stays."""

    def __init__(self, most_bytes: int = MOST_BYTES, most: int = MOST):
        self.most_bytes, self.most = most_bytes, most
        self._traces: OrderedDict[Hashable, tuple[Trace, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Trace]) -> Trace:
        """The trace of `key`, made once even where two sessions ask for it at the same time; what `make` raises is raised."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._traces:
                    self._traces.move_to_end(key)
                    return self._traces[key][0]
            try:
                trace = make()
                with self._lock:
                    self._traces[key] = (trace, trace.nbytes())
                    self._forget()
                return trace
            finally:
                with self._lock:
                    self._making.pop(key, None)

    def _forget(self) -> None:
        held = sum(size for _, size in self._traces.values())
        while len(self._traces) > 1 and (held > self.most_bytes or len(self._traces) > self.most):
            _, (_, size) = self._traces.popitem(last=False)
            held -= size

    def __len__(self) -> int:
        return len(self._traces)
