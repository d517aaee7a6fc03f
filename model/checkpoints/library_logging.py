"""Calls of the transformers library that change the whole process: its log and bars, and what it patches while it loads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from model.jobs.progress import tick

_EVERY = 0.1  # seconds between two looks at one's place in line


class Line:
    """A lock whose threads are let in in the order in which they came, and say their place while they wait.

    A thread that is in may enter again. Ticks "line:3" for the third in line, and "loading" for who comes in from there; one
    that is stopped there leaves it.
    """

    def __init__(self) -> None:
        self._waiting: deque[object] = deque()  # the one that is in stands first
        self._changed = threading.Condition()
        self._inside: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Inside the block no other thread is in."""
        if self._inside == threading.get_ident():
            yield
            return
        mine = object()
        with self._changed:
            self._waiting.append(mine)
        try:
            waited = False
            while (place := self._place(mine)) > 0:
                waited = True
                tick(f"line:{place}")
            self._inside = threading.get_ident()
            if waited:  # its place would be said until the first file is read
                tick("loading")
            yield
        finally:
            with self._changed:
                if self._waiting[0] is mine:
                    self._inside = None
                self._waiting.remove(mine)
                self._changed.notify_all()

    def _place(self, mine: object) -> int:
        with self._changed:
            if self._waiting[0] is not mine:
                self._changed.wait(_EVERY)
            return self._waiting.index(mine)


# While it builds a model the library swaps functions of classes that every model has; two at once put back the wrong ones.
# While it is imported it has none of its names yet, and a second thread finds none.
_one_at_a_time = Line()


@contextmanager
def quiet() -> Iterator[None]:
    """Inside the block the library logs errors only and draws no bars."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def loading() -> Iterator[None]:
    """`quiet`, and by one thread at a time: for whatever builds or converts a model, a configuration or a tokenizer."""
    with _one_at_a_time.turn(), quiet():
        yield
