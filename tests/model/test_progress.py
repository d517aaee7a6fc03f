"""Who listens hears, who wants no more stops the work, and nobody hears another thread's."""

from __future__ import annotations

import threading

import pytest

from model.errors import Stopped
from model.jobs.progress import ProgressListener, report_to, tick

Heard = list[tuple[str, float | None]]


def listener(heard: Heard, stop: bool = False) -> ProgressListener:
    return ProgressListener(lambda what, fraction: heard.append((what, fraction)), lambda: stop)


def test_ticks_go_to_the_innermost_listener_and_end_with_it():
    outer: Heard = []
    inner: Heard = []
    tick("nobody", 0.1)
    with report_to(listener(outer)):
        tick("a", 0.5)
        with report_to(listener(inner)):
            tick("b")
        tick("c", 1.0)
    tick("nobody")
    assert (outer, inner) == ([("a", 0.5), ("c", 1.0)], [("b", None)])


def test_stop_raises_before_anything_is_told():
    heard: Heard = []
    with pytest.raises(Stopped, match="nothing was changed"), report_to(listener(heard, stop=True)):
        tick("a", 0.5)
    assert heard == []
    tick("the listener is gone")


def test_a_failure_inside_removes_the_listener():
    heard: Heard = []
    with pytest.raises(KeyError), report_to(listener(heard)):
        raise KeyError
    tick("a")
    assert heard == []


def test_each_thread_has_its_own_listener():
    heard: dict[str, Heard] = {"one": [], "two": [], "here": []}
    both = threading.Barrier(2, timeout=10)

    def work(name: str) -> None:
        tick(name)  # no listener of the starting thread is inherited
        with report_to(listener(heard[name])):
            both.wait()
            tick(name, 0.25)
            both.wait()

    with report_to(listener(heard["here"])):
        threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert heard == {"one": [("one", 0.25)], "two": [("two", 0.25)], "here": []}
