"""The second run of a comparison: waited for beside the first, and not begun again by itself once it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from model.errors import Stopped
from viz.ui.language import say
from viz.ui.state import current_run, view

if TYPE_CHECKING:
    from model.trace.trace import Trace

_STOPPED = "comparing-stopped"


def run(request: view.View, name: str) -> Trace | None:
    """The run of `request` on the model `name`; None where it was stopped, which is said. Raises HeadlightError."""
    # Only what a run depends on: selecting another cell does not begin a stopped one again.
    key = (name, *(getattr(request, each) for each in view.RUN))
    if st.session_state.get(_STOPPED) != key:
        try:
            return current_run.second(request, name)
        except Stopped:
            st.session_state[_STOPPED] = key
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(say("comparing.second_stopped"), icon=":material/stop_circle:", width="stretch")
        st.button(say("note.run"), key="comparing-again", on_click=lambda: st.session_state.pop(_STOPPED, None))
    return None
