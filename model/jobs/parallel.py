"""Independent pieces of work side by side on the cores that torch leaves free, reported and stopped as one.

Torch lets go of the interpreter inside an operation, so threads are enough. One operation on two cores gains less: a block
of weights fits one core's cache, and its operations end before the second thread has woken.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

import torch

from model.jobs.progress import tick, until

_MOST = 8  # every thread holds blocks of its own

Piece = TypeVar("Piece")
Found = TypeVar("Found")
OnProgress = Callable[[float], None]


def workers(pieces: int) -> int:
    """How many threads work on so many pieces: as many as leave a core to each of torch's, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(pieces, cores // max(1, torch.get_num_threads()), _MOST))


def each(
    work: Callable[[Piece, OnProgress], Found], pieces: Sequence[Piece], costs: Sequence[int], what: str
) -> Iterator[tuple[Piece, Found]]:
    """(piece, work(piece, on_progress)) in the order of the pieces, each as soon as it and those before it are done.

    on_progress: called with how much of its piece is done, 0–1. costs: how the pieces compare. Ticks `what` with the share
    of all that is done. What a piece raises is raised here; the other pieces end at their next word then, and so they do
    where nobody asks for the rest any more.
    """
    shares, whole, lock, ended = [0.0] * len(pieces), sum(costs) or 1, threading.Lock(), threading.Event()

    def one(place: int) -> Found:
        def on_progress(share: float) -> None:
            with lock:  # so that nobody hears of less than before
                shares[place] = share
                tick(what, sum(share * cost for share, cost in zip(shares, costs, strict=True)) / whole)

        on_progress(0.0)
        found = work(pieces[place], on_progress)
        with lock:
            shares[place] = 1.0
        return found

    def watched(place: int) -> Found:
        with until(ended.is_set):
            return one(place)

    count = workers(len(pieces))
    if count == 1:
        yield from ((piece, one(place)) for place, piece in enumerate(pieces))
        return
    with ThreadPoolExecutor(count, "headlight-heads") as pool:
        waiting = [pool.submit(copy_context().run, watched, place) for place in range(len(pieces))]
        try:
            for piece, future in zip(pieces, waiting, strict=True):
                yield piece, future.result()
        finally:
            ended.set()
            for future in waiting:
                future.cancel()
