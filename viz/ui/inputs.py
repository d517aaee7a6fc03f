"""Inputs beyond one text, for models that take them: a second text, a chat, a file, tokens to write, a picture, a sound."""

from __future__ import annotations

import streamlit as st

from model.errors import NotText
from viz.ui import language, media, models, session
from viz.ui.language import say

_PICTURES = ["png", "jpg", "jpeg", "webp", "bmp", "gif"]


def more(card: dict) -> None:
    """A popover under the text, closed until it is wanted; a picture or a sound is the input itself and stands open."""
    reads = card.get("reads", "text")
    if reads != "text":
        _media(reads)
        return
    now = session.view()
    used = sum(map(bool, (now.pair, now.chat, now.new)))
    with st.popover(say("bar.more") + (f" · {used}" if used else ""), width="stretch"):
        _pair()
        if models.continues(now.model):
            _switch("chat", say("bar.as_chat"), say("bar.as_chat_help"))
            _number()
        _text_file()


def _key(name: str) -> str:
    # The model is in the key: what stands in a closed popover is not told of a new value, and would come back with the next run.
    return f"{name}-{language.current()}@{session.view().model}"


def _mirrored(name: str, value: object) -> str:
    key = _key(name)
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    return key


def _pair() -> None:
    key = _mirrored("pair", session.view().pair)
    st.text_input(
        say("bar.pair"), key=key, help=say("bar.pair_help"),
        on_change=lambda: session.change(pair=st.session_state[key] or ""),
    )  # fmt: skip


def _switch(name: str, label: str, why: str) -> None:
    key = _mirrored(name, bool(getattr(session.view(), name)))
    st.toggle(label, key=key, help=why, on_change=lambda: session.change(**{name: int(st.session_state[key])}))


def _number() -> None:
    now = max(0, session.view().new)
    key = _mirrored("new", now)
    st.slider(
        say("bar.new"), 0, max(60, now), key=key, help=say("bar.new_help"),
        on_change=lambda: session.change(new=st.session_state[key]),
    )  # fmt: skip


def _text_file() -> None:
    def take() -> None:
        file = st.session_state.get("text_file")
        if file is None:
            return
        try:
            session.change(text=file.getvalue().decode("utf-8-sig").strip())
        except UnicodeDecodeError:
            st.session_state.complaint = language.explain(NotText(name=file.name))

    st.file_uploader(say("bar.file"), type=["txt", "md", "csv", "py", "json"], key="text_file", on_change=take)


def _media(reads: str) -> None:
    def take() -> None:
        file = st.session_state.get(f"media_{reads}")
        if file is not None:
            session.change(media=media.keep(file.getvalue()))

    pictures = reads == "pictures"
    st.file_uploader(
        say("bar.picture" if pictures else "bar.sound"), type=_PICTURES if pictures else ["wav"], key=f"media_{reads}",
        on_change=take, help=say("bar.picture_help" if pictures else "bar.sound_help"),
    )  # fmt: skip
    if session.view().media not in ("", media.SAMPLE):
        st.button(say("bar.sample"), on_click=session.change, kwargs={"media": media.SAMPLE}, type="tertiary")
