"""The second run of a comparison: waited for beside the first, and not begun again by itself once it was stopped.

The pages that take a second text (Compare, The block) share it: one text in the view and in the link.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError, Stopped
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import current_run, model_list, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.trace.trace import Trace

_STOPPED = "comparing-stopped"
_TEXT = "text:"  # in the view's `against`, which may also name a model


def run(request: view.View, name: str, asked_of: Callable[[Any, view.View], view.View] | None = None) -> Trace | None:
    """The run of `request` on the model `name`; None where it was stopped, which is said. Raises HeadlightError.

    asked_of: what is asked of the opened model, where that depends on it.
    """
    # Only what a run depends on: selecting another cell does not begin a stopped one again.
    key = (name, *(getattr(request, each) for each in view.RUN))
    if st.session_state.get(_STOPPED) != key:
        try:
            return current_run.second(request, name, asked_of)
        except Stopped:
            st.session_state[_STOPPED] = key
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(say("comparing.second_stopped"), icon=":material/stop_circle:", width="stretch")
        st.button(say("note.run"), key="comparing-again", on_click=lambda: st.session_state.pop(_STOPPED, None))
    return None


def takes_text() -> bool:
    """Whether the model at hand runs a second text."""
    return not model_list.is_trace(view.current().model) and getattr(current_run.model(), "reads", "text") == "text"


def told_text() -> str:
    """The second text as it stands in the view; "" where there is none."""
    against = view.current().against
    return against.removeprefix(_TEXT) if against.startswith(_TEXT) else ""


def keep_text(key: str) -> None:
    """Write what was typed into the widget `key` to the view."""
    text = st.session_state[key]
    view.change(against=f"{_TEXT}{text}" if text.strip() else "")


def of_text() -> Trace | None:
    """The run of the second text; None where there is none, or it cannot be run or was stopped, which is said."""
    now, text = view.current(), told_text()
    if not text.strip():
        return None
    try:
        return run(replace(now, text=text, target=""), now.model)
    except HeadlightError as error:
        st.warning(language.explain(error))
        return None
