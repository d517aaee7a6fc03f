"""Pieces of work side by side: their order, what is told of them, and how they end."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from model.errors import Stopped
from model.jobs import parallel
from model.jobs.parallel import each, workers
from model.jobs.progress import ProgressListener, report_to, tick


@pytest.fixture(params=[1, 2, 4])
def threads(request, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(parallel, "workers", lambda pieces: min(pieces, request.param))
    return request.param


def test_results_come_in_order_and_the_share_only_grows(threads: int):
    told: list[tuple[str, float | None]] = []

    def work(piece: int, done):
        for part in range(3):
            done(part / 3)
            time.sleep(0.002 * (5 - piece))  # the first takes longest
        return piece * piece

    with report_to(ProgressListener(lambda what, share: told.append((what, share)), lambda: False)):
        assert list(each(work, range(5), [1, 2, 3, 4, 5], "pictures")) == [(i, i * i) for i in range(5)]
    shares = [share for _, share in told]
    assert {what for what, _ in told} == {"pictures"} and shares == sorted(shares)
    assert shares[0] == 0 and len(set(shares)) > 1 and shares[-1] < 1  # how near to 1 the threads decide


def test_they_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, "workers", lambda pieces: 2)
    both = threading.Barrier(2)
    assert [found for _, found in each(lambda piece, told: both.wait(20) >= 0, "ab", [1, 1], "")] == [True, True]


def test_what_a_piece_raises_is_raised_and_ends_the_others(threads: int):
    begun: list[int] = []

    def work(piece: int, done):
        begun.append(piece)
        if piece == 0:
            raise ZeroDivisionError
        for _ in range(2000):  # 20 s, were it not ended
            done(0.5)
            time.sleep(0.01)

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        list(each(work, range(9), [1] * 9, ""))
    assert time.monotonic() - start < 15 and len(begun) <= threads + 1


def test_who_stops_listening_stops_them_all(threads: int):
    stop, reached = threading.Event(), threading.Event()

    def work(piece: int, done):
        if piece == 1:
            stop.set()
        done(0.1)
        reached.set()
        return piece

    with report_to(ProgressListener(lambda what, share: None, stop.is_set)), pytest.raises(Stopped):
        for _ in each(work, range(50), [1] * 50, ""):
            pass


def test_who_asks_for_no_more_ends_the_rest(threads: int):
    begun: list[int] = []

    def work(piece: int, done):
        begun.append(piece)
        time.sleep(0.001)
        return piece

    rest = each(work, range(1000), [1] * 1000, "")
    assert next(rest) == (0, 0)
    rest.close()
    before = len(begun)
    time.sleep(0.05)
    assert len(begun) == before < 1000


def test_the_listener_is_the_callers_own(threads: int):
    """Each thread works in a copy of the caller's context, not in an empty one."""
    told: list[str] = []
    with report_to(ProgressListener(lambda what, share: told.append(what), lambda: False)):
        list(each(lambda piece, done: tick(piece), ["a", "b", "c"], [1, 1, 1], "all"))
    assert sorted(set(told)) == ["a", "all", "b", "c"]


def test_torch_and_the_threads_share_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    for torchs, want in ((1, 8), (4, 4), (8, 2), (16, 1), (32, 1)):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=torchs: n)
        assert workers(100) == want
        assert workers(1) == 1
    assert workers(0) == 1
