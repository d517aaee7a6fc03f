"""What the server keeps of runs: by bytes, the newest always, one making for two who ask."""

from __future__ import annotations

import threading
import time

import pytest

from viz.ui.state.trace_cache import TraceCache


class Run:
    def __init__(self, size: int):
        self.size = size

    def nbytes(self) -> int:
        return self.size


def test_the_oldest_go_when_there_are_too_many_bytes() -> None:
    kept = TraceCache(most_bytes=100)
    runs = [kept.get(i, lambda: Run(40)) for i in range(3)]
    assert len(kept) == 2
    assert kept.get(2, lambda: Run(0)) is runs[2]
    assert kept.get(0, lambda: Run(1)) is not runs[0]


def test_the_newest_stays_however_large() -> None:
    kept = TraceCache(most_bytes=100)
    large = kept.get("large", lambda: Run(1000))
    assert kept.get("large", lambda: Run(0)) is large and len(kept) == 1


def test_two_sessions_wait_for_one_making() -> None:
    kept, made = TraceCache(), []

    def make() -> Run:
        made.append(1)
        time.sleep(0.05)
        return Run(1)

    threads = [threading.Thread(target=lambda: kept.get("same", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_what_goes_wrong_is_not_kept() -> None:
    kept = TraceCache()
    with pytest.raises(ValueError, match="no"):
        kept.get("x", lambda: (_ for _ in ()).throw(ValueError("no")))
    assert kept.get("x", lambda: Run(1)).size == 1
