"""What is kept with a trace: computed once, by key, for any number of threads, and gone when the trace is."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from model.trace.per_trace import PerTrace


class Run:
    """Stands for a trace: it can be hashed and referred to weakly."""


def test_it_is_computed_once_for_each_run_and_key() -> None:
    cache: PerTrace[int] = PerTrace()
    one, other, asked = Run(), Run(), []

    def compute() -> int:
        asked.append(1)
        return len(asked)

    assert [cache.get(one, "a", compute), cache.get(one, "a", compute)] == [1, 1]
    assert [cache.get(one, "b", compute), cache.get(other, "a", compute)] == [2, 3]
    assert cache.has(one, "a") and not cache.has(other, "b") and not cache.has(Run(), "a")
    cache.clear()
    assert not cache.has(one, "a") and cache.get(one, "a", compute) == 4


def test_it_goes_with_the_run() -> None:
    cache: PerTrace[bytearray] = PerTrace()
    run = Run()

    class Kept(bytearray):
        pass

    kept = weakref.ref(cache.get(run, "a", Kept))
    assert kept() is not None
    del run
    gc.collect()
    assert kept() is None


def test_what_goes_wrong_is_not_kept() -> None:
    cache: PerTrace[int] = PerTrace()
    run = Run()
    with pytest.raises(ZeroDivisionError):
        cache.get(run, "a", lambda: 1 // 0)
    assert not cache.has(run, "a") and cache.get(run, "a", lambda: 7) == 7


def test_a_computation_may_ask_for_another_key() -> None:
    cache: PerTrace[int] = PerTrace()
    run = Run()
    assert cache.get(run, "a", lambda: 1 + cache.get(run, "b", lambda: 2)) == 3 and cache.has(run, "b")


def test_threads_that_ask_at_once_get_the_same() -> None:
    cache: PerTrace[object] = PerTrace()
    run, both, found = Run(), threading.Barrier(4, timeout=30), []

    def compute() -> object:
        both.wait()  # every thread is computing before any has finished
        return object()

    threads = [threading.Thread(target=lambda: found.append(cache.get(run, "a", compute))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(map(id, found))) == 1
