"""Inputs beyond one text, for models that take them: a second text, a chat, a file, tokens to write, a picture, a sound."""

from __future__ import annotations

import streamlit as st

from model.errors import NotText
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared.widgets import keep, mirror, switch
from viz.ui.state import model_list, uploads, view

_PICTURES = ["png", "jpg", "jpeg", "webp", "bmp", "gif"]


def more(card: dict) -> None:
    """A popover under the text, closed until it is wanted; a picture or a sound is the input itself and stands open."""
    reads = card.get("reads", "text")
    if reads != "text":
        _media(reads)
        return
    now = view.current()
    two, ours = model_list.reads_two(now.model), model_list.is_ours(now.model)
    used = sum(map(bool, (now.pair and not two, now.chat, now.new)))
    with st.popover(say("bar.more") + (f" · {used}" if used else ""), width="stretch"):
        if not (two or ours):
            _pair(now)
        if model_list.continues(now.model):
            if not ours:
                switch("chat", say("bar.as_chat"), say("bar.as_chat_help"), now.model)
            _number(now)
        _text_file()


def _pair(now: view.View) -> None:
    key = mirror("pair", now.pair, now.model)
    st.text_input(say("bar.pair"), key=key, help=say("bar.pair_help"), on_change=keep, args=("pair", key))


def second_text(now: view.View) -> None:
    """The second text of a task that is about two, in sight: a question's context, its choices, the sentence that may follow."""
    task = model_list.task(now.model)
    key = mirror("pair", now.pair, now.model)
    st.text_area(
        say(f"bar.pair_{task}"),
        key=key,
        on_change=keep,
        args=("pair", key),
        height=120,
        help=say(f"bar.pair_{task}_help"),
    )


def _number(now: view.View) -> None:
    shown = max(0, now.new)
    key = mirror("new", shown, now.model)
    st.slider(say("bar.new"), 0, max(60, shown), key=key, help=say("bar.new_help"), on_change=keep, args=("new", key))


def _text_file() -> None:
    def take() -> None:
        file = st.session_state.get("text_file")
        if file is None:
            return
        try:
            view.change(text=file.getvalue().decode("utf-8-sig").strip())
        except UnicodeDecodeError:
            st.session_state.complaint = language.explain(NotText(name=file.name))

    st.file_uploader(say("bar.file"), type=["txt", "md", "csv", "py", "json"], key="text_file", on_change=take)


def place_for_languages() -> None:
    """Keep the place in the side bar: which languages a model can write is known only once it is open."""
    st.session_state.languages_place = st.container()


def languages(opened: object) -> None:
    """The language that a multilingual checkpoint writes, among those of its tokenizer; empty: the tokenizer's own."""
    place, known = st.session_state.get("languages_place"), getattr(opened, "languages", ())
    if place is None or not known or model_list.is_ours(view.current().model):
        return
    key = mirror("to", view.current().to or None, view.current().model)
    place.selectbox(
        say("bar.to"), known, key=key, index=None, placeholder=say("bar.to_own"), on_change=keep, args=("to", key)
    )


def _media(reads: str) -> None:
    def take() -> None:
        file = st.session_state.get(f"media_{reads}")
        if file is not None:
            view.change(media=uploads.keep(file.getvalue(), file.name))

    pictures = reads == "pictures"
    st.file_uploader(
        say("bar.picture" if pictures else "bar.sound"), type=_PICTURES if pictures else ["wav"], key=f"media_{reads}",
        on_change=take, help=say("bar.picture_help" if pictures else "bar.sound_help"),
    )  # fmt: skip
    if view.current().media not in ("", uploads.SAMPLE):
        st.button(say("bar.sample"), on_click=view.change, kwargs={"media": uploads.SAMPLE}, type="tertiary")
