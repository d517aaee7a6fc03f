"""Calls of the transformers library that change the whole process: its log and bars, and what it patches while it loads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# While it builds a model the library swaps functions of classes that every model has; two at once put back the wrong ones.
_one_at_a_time = threading.RLock()


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
    with _one_at_a_time, quiet():
        yield
