"""The second run of a comparison: waited for beside the first, and not begun again by itself once it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from model.errors import Stopped
from viz.ui import runs, session
from viz.ui.language import say

if TYPE_CHECKING:
    from model.trace import Trace

_STOPPED = "comparing-stopped"


def run(asked: session.View, name: str) -> Trace | None:
    """The run of `asked` on the model `name`; None where it was stopped, which is said. Raises HeadlightError."""
    # Only what a run depends on: selecting another cell does not begin a stopped one again.
    key = (name, *(getattr(asked, each) for each in session.RUN))
    if st.session_state.get(_STOPPED) != key:
        try:
            return runs.second(asked, name)
        except Stopped:
            st.session_state[_STOPPED] = key
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(say("comparing.second_stopped"), icon=":material/stop_circle:", width="stretch")
        st.button(say("note.run"), key="comparing-again", on_click=lambda: st.session_state.pop(_STOPPED, None))
    return None
