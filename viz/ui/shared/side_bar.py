"""The shared side bar and the pickers; each writes to the session's view in its callback."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from model.checkpoints.disk.shipped import is_small
from viz.base.shorten import shorten
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import more_inputs, recent_models, sink
from viz.ui.shared.widgets import keep, listed, mirror, switch
from viz.ui.state import model_list, page_controls, view

if TYPE_CHECKING:
    from model.trace.trace import Trace


# More heads than fit on one line as buttons are a list.
_BUTTONS = 16
_EXAMPLE = 80  # characters of an example in the list
_YOURS, _SMALL = "\0yours", "\0small"  # no model's name
_WITHOUT_TEXT = ("train",)
_ELSEWHERE = {_YOURS: "models", _SMALL: "families"}  # the pages that they lead to


def side_bar(page: str = "") -> None:
    """Model, texts, target and language, on every page; no texts where the page runs none."""
    now = view.current()
    card = model_list.card(now.model)
    described = _described(now.model)
    with st.sidebar:
        key = mirror("model", now.model)
        st.selectbox(
            say("bar.model"), [*_offered(now.model), _SMALL, _YOURS], key=key, on_change=_choose_model, args=(key,),
            format_func=lambda name: described.get(name, name), accept_new_options=True,
        )  # fmt: skip
        if model_list.is_trace(now.model):
            st.caption(say("bar.saved"))
        elif page not in _WITHOUT_TEXT:
            _texts(card)
        st.segmented_control(
            say("bar.language"), list(language.LANGUAGES), format_func=language.LANGUAGES.__getitem__,
            key=mirror("ui_language", language.current()), on_change=_switch_language, required=True,
            label_visibility="collapsed",
        )  # fmt: skip


def _offered(chosen: str) -> list[str]:
    """What is listed, the model that is open, and what was opened before it and still leads somewhere.

    Of the small trained models of the families those alone; the others are on their page.
    """
    listed = [name for name in model_list.names(chosen) if name == chosen or not is_small(name)]
    return list(dict.fromkeys([*listed, *recent_models.offered()]))


def _described(chosen: str) -> dict[str, str]:
    """What the list calls each of its entries; where two would be called alike, what was opened before tells its folders too."""
    told = {name: model_list.described(name) for name in _offered(chosen)}
    times = Counter(told.values())
    found = {_SMALL: say("bar.small"), _YOURS: say("bar.yours")}
    for name, text in told.items():
        if name not in model_list.found():
            path = Path(name)
            if times[text] > 1:
                text = f"{text} · {path.parent.parent.name}/{path.parent.name}/{path.name}"
            text = text if name == chosen else say("bar.recent", name=text)
        found[name] = text
    return found


def _choose_model(key: str) -> None:
    """Another model; the list's last entries lead to the families and to the field for a path, and change nothing yet. A path
    may be typed."""
    chosen = st.session_state[key]
    if chosen in _ELSEWHERE:
        st.session_state.go_to = _ELSEWHERE[chosen]
    elif chosen in _offered(view.current().model):
        keep("model", key)
    else:
        view.change(model=_typed(chosen.strip().strip("\"'").strip()))


def _typed(text: str) -> str:
    """What was typed into the list of models: the first entry that has it in its name, else a path or a name of the hub."""
    chosen = view.current().model
    if not text:
        return chosen
    for name, told in _described(chosen).items():
        if "/" not in text and "\\" not in text and name not in _ELSEWHERE and text.lower() in f"{name} {told}".lower():
            return name
    model_list.typed(text)
    return text


def _texts(card: dict) -> None:
    """What is read and, where the model writes, what it is made to write."""
    now = view.current()
    ours = model_list.is_ours(now.model)
    key = mirror("text", now.text)
    if ours:
        st.text_input(say("bar.text"), key=key, on_change=keep, args=("text", key), help=say("bar.text_help"))
    elif card.get("reads", "text") == "text" or model_list.reads_captions(now.model):
        label = say(f"bar.text_{model_list.task(now.model)}") if model_list.reads_two(now.model) else say("bar.text")
        st.text_area(
            say("bar.chat") if now.chat else label, key=key, on_change=keep, args=("text", key), height=96,
            help=say("bar.chat_help" if now.chat else "bar.area_help"),
        )  # fmt: skip
        if model_list.reads_two(now.model):
            more_inputs.second_text(now)
    _examples(card)
    _languages()
    more_inputs.place_for_languages()
    if model_list.writes(now.model):
        key = mirror("target", now.target)
        st.text_input(
            say("bar.target"), key=key, placeholder=say("bar.target_empty"), on_change=keep, args=("target", key),
            help=say("bar.target_help"),
        )  # fmt: skip
    if model_list.takes_more(now.model):
        more_inputs.more(card)


def _switch_language() -> None:
    page_controls.act()
    st.session_state.language = st.session_state[f"ui_language-{language.current()}"]


def _examples(card: dict) -> None:
    if not card["examples"]:
        return
    second = card.get("second", {})
    # Another text makes another list, which is closed: one example was chosen.
    key = f"examples-{zlib.crc32(view.current().text.encode('utf-8', 'surrogatepass'))}"
    with st.popover(say("bar.examples"), width="stretch", key=key):
        for i, example in enumerate(card["examples"]):
            st.button(
                shorten(example, _EXAMPLE), key=f"example-{i}", type="tertiary", on_click=view.change,
                kwargs={"text": example, "target": ""} | ({"pair": second[example]} if example in second else {}),
            )  # fmt: skip


def _languages() -> None:
    languages = model_list.languages(view.current().model)
    if len(languages) > 1:
        key = mirror("to", view.current().to)
        st.segmented_control(
            say("bar.to"), languages, format_func=language.name, key=key, on_change=keep,
            args=("to", key), required=True,
        )  # fmt: skip


def site_name(site: object) -> str:
    """`decoder.1.cross` -> "decoder 1 · cross-attention"."""
    stack, layer, kind = str(site).split(".")
    return say("site.name", stack=language.stack(stack), layer=layer, kind=say(f"site.{kind}"))


def head_picker(trace: Trace, words: bool = True, sinks: bool = False) -> None:
    """Site and head in one row; changing either keeps the selected cell where it still exists.

    words: offer the switches of a page with the matrix: to whole words, and where the colours end. sinks: offer the one
    that leaves the first token out.
    """
    from viz.base import axes

    names = [str(site) for site in reversed(trace.sites)]  # the last layer on top, as the model is drawn
    now = view.current()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pickers"):
        key = mirror("site", now.site)
        st.selectbox(
            say("pick.site"), names, format_func=site_name, key=key, on_change=keep, args=("site", key),
            help=say("pick.count_help"), width=256,
        )  # fmt: skip
        heads = list(range(trace.record(now.site).heads))
        key = mirror("head", now.head)
        if len(heads) <= _BUTTONS:
            st.segmented_control(
                say("pick.head"), heads, key=key, on_change=_keep_head, args=(key,), required=True, width="content",
            )  # fmt: skip
        else:
            st.selectbox(say("pick.head"), heads, key=key, on_change=_keep_head, args=(key,), width=160)
        if words:
            scale_switch(trace)
        if words and axes.mergeable(trace, trace.record(now.site).site):
            word_switch()
        if sinks:
            sink.switches()


def scale_switch(trace: Trace) -> None:
    """Where the colours end: at 1, or at the picture's largest weight; where nobody chose, what its weights suggest."""
    from viz.base import axes
    from viz.heads import color_scale

    now = view.current()
    site, head, row, column = view.selected()
    shown = axes.axes(trace, site, (row, column), bool(now.by_word))
    key = mirror(
        "scale", now.scale or color_scale.suggested(color_scale.largest(sink.drawn(trace).record(site), head, shown))
    )
    st.segmented_control(
        say("pick.scale"), view.SCALES, format_func=lambda end: say(f"pick.scale_{end}"), key=key, on_change=keep,
        args=("scale", key), required=True, width="content", help=say("pick.scale_help"),
    )  # fmt: skip


def overview_switches(trace: Trace) -> None:
    """The switches above the ribbons: to words where one is several tokens, and to pictures without the sink."""
    from viz.base import axes
    from viz.overview import overview

    with st.container(horizontal=True, vertical_alignment="center", key="overview-switches"):
        if overview.drawable(trace) and any(axes.mergeable(trace, site) for site in trace.sites[:1]):
            word_switch()
        sink.switches()


def word_switch() -> None:
    """Tokens or words: one switch for every view."""
    switch("by_word", say("pick.by_word"), say("pick.by_word_help"))


def _keep_head(key: str) -> None:
    # The lines follow the picked head; further heads are switched on in the lines themselves.
    view.change(head=st.session_state[key], heads="")


def cell_picker(trace: Trace) -> None:
    """Query and key by name, for whoever prefers a list to a click."""
    from viz.base import tokens

    site = trace.record(view.current().site).site
    now = view.current()
    rows = [f"{i}: {item['text']}" for i, item in enumerate(tokens.query_labels(trace, site))]
    columns = [f"{j}: {item['text']}" for j, item in enumerate(tokens.key_labels(trace, site))]
    left, right = st.columns(2)
    for area, name, names in ((left, "row", rows), (right, "column", columns)):
        key = listed(f"pick-{name}", getattr(now, name), names)
        area.selectbox(
            say("pick.query" if name == "row" else "pick.key"), range(len(names)), format_func=names.__getitem__,
            key=key, on_change=keep, args=(name, key),
        )  # fmt: skip
