"""A text that is longer than its model reads: its start at the press of a button, said afterwards, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.ui.language import say
from viz.ui.state import view

if TYPE_CHECKING:
    from model.errors import TextTooLong
    from model.text.truncation import Start


def offer(now: view.View, opened: Any, error: TextTooLong) -> None:
    """Under the sentence that refuses the text of `now`: its first tokens, as many as are read, instead."""
    asked = (now.model, now.text, now.pair, now.chat, now.new)
    if st.session_state.get("start_of") != asked:  # a long text is not cut again with every press elsewhere
        st.session_state.start_of, st.session_state.start_found = asked, _found(now, opened)
    if found := st.session_state.start_found:
        got = max(int(error.values["got"]), found.tokens + 1)
        st.button(say("shortened.use", n=f"{found.tokens:,}"), key="shortened-use", on_click=_use, args=(found, got))


def _found(now: view.View, opened: Any) -> Start | None:
    """None where the text itself is short enough, and what is too long is the output that it should have."""
    from model.checkpoints.truncate import shortened

    found = shortened(opened, now.text, now.pair or None, bool(now.chat), max(0, now.new))
    return found if found and found.text.strip() else None


def _use(found: Start, got: int) -> None:
    now = view.current()
    view.change(text=found.text)
    st.session_state.whole_text = (now.model, now.text, found, got)


def show_notice() -> None:
    """That only the start of a text was read, as long as it is, and the way back to the whole text."""
    name, whole, found, got = st.session_state.get("whole_text", ("", "", None, 0))
    if found is None or (view.current().model, view.current().text) != (name, found.text):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="shortened"):
        st.caption(say("shortened.told", n=f"{found.tokens:,}", of=f"{got:,}", characters=f"{len(found.text):,}",
                       all=f"{len(whole):,}"), width="content")  # fmt: skip
        st.button(say("shortened.back"), key="shortened-back", type="tertiary", on_click=view.change,
                  kwargs={"text": whole})  # fmt: skip
