"""What of a session a file is made with: its button is pressed when the run of the page is over, and in no session.

A figure's files are made in a thread of the server that knows nobody: `as_now` hands them what they may ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import streamlit as st

# Words, and what was looked at: all that a file may depend on beside its numbers.
KEPT = ("language", "towers", "view", "sites")

Made = TypeVar("Made")
_now: ContextVar[dict[str, Any] | None] = ContextVar("session as it was", default=None)


def value(name: str, default: object = None) -> Any:
    """What is kept under one of `KEPT`: in this session or, while a file is made, in the one that offered it."""
    known = _now.get()
    return st.session_state.get(name, default) if known is None else known.get(name, default)


def as_now(make: Callable[[], Made]) -> Callable[[], Made]:
    """`make` with the answers of `value` as they are now, whenever and wherever it is called."""
    known = {name: found for name in KEPT if (found := value(name)) is not None}

    def made() -> Made:
        before = _now.set(known)
        try:
            return make()
        finally:
            _now.reset(before)

    return made
