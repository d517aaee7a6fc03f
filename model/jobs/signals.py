"""Ctrl-C and SIGTERM noted, so that long work ends between two of its pieces and keeps what is finished."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def until_signal() -> Iterator[Callable[[], bool]]:
    """Inside the block, Ctrl-C and SIGTERM are noted, for work to end between two pieces; a second one ends it at once."""
    stopped = threading.Event()
    kept = {}

    def note(number: int, _frame: object) -> None:
        stopped.set()
        signal.signal(number, kept[number])

    if threading.current_thread() is threading.main_thread():
        kept = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped.is_set
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
