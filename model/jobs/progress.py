"""Progress and cancellation of long work: the worker calls `tick`, a `ProgressListener` is called with the fraction done.

A forward of a large model takes seconds; whoever computes calls `tick` between its pieces, which tells the listener of
this thread's context, if there is one, and raises `Stopped` where the listener no longer wants the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from model.errors import Stopped


@dataclass(frozen=True)
class ProgressListener:
    """Receives the progress of long work, and may stop it.

    on_progress: called with what is being done and the fraction done, 0–1, None where the end is not known. stop: whether
    to give up.
    """

    on_progress: Callable[[str, float | None], None]
    stop: Callable[[], bool]


_listener: ContextVar[ProgressListener | None] = ContextVar("progress", default=None)


@contextmanager
def report_to(listener: ProgressListener) -> Iterator[None]:
    """Inside the block, ticks of this context go to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def until(given_up: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, ticks of this context also end the work where `given_up` says so."""
    outer = _listener.get()
    on_progress = outer.on_progress if outer else _unheard
    with report_to(ProgressListener(on_progress, lambda: given_up() or (outer is not None and outer.stop()))):
        yield


def _unheard(what: str, fraction: float | None) -> None:
    pass


def tick(what: str, fraction: float | None = None) -> None:
    """Report the fraction done, 0–1 or None; raises Stopped where the listener asks for an end."""
    listener = _listener.get()
    if listener is None:
        return
    if listener.stop():
        raise Stopped()
    listener.on_progress(what, fraction)
