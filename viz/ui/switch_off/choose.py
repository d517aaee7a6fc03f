"""What is changed in the run: the edits of this session as text forms in the link, and the controls that add and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from model.edits.heads import ANY
from model.edits.parse import parse
from model.errors import HeadlightError
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared.side_bar import site_name
from viz.ui.state import page_controls, view

if TYPE_CHECKING:
    from model.edits.plan import Edit
    from model.trace.trace import Trace

HOWS = ("zero", "mean", "half", "uniform", "hide_edge", "hide_key")


def edits() -> list[str]:
    """Those of the link and of this session, in their order."""
    return view.current().edits.split()


def keep(texts: list[str]) -> None:
    view.change(edits=" ".join(dict.fromkeys(texts)))


def form(how: str, site: str, head: int, row: int, column: int) -> str:
    """The text form of what is offered, of the selected head and cell."""
    heads = f"{site}.{head}"
    forms = {
        "zero": f"off:{heads}", "mean": f"off:{heads}:mean", "half": f"scale:{heads}:0.5", "uniform": f"pattern:{heads}:uniform",
        "hide_edge": f"hide:{heads}:q{row}:k{column}", "hide_key": f"hide:{heads}:k{column}",
    }  # fmt: skip
    return forms[how]


def controls(trace: Trace) -> None:
    """Which change, and the presses that make it; below, what is changed now, each with its ✕."""
    site, head, row, column = view.selected()
    words = {
        "read": language.plain(trace.side(site.key_side).texts[column]),
        "reader": language.plain(trace.side(site.query_side).texts[row]),
    }
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="switch-controls"):
        st.selectbox(
            say("switch_off.how"), HOWS, format_func=lambda how: say(f"switch_off.how_{how}", **words), width=300,
            **page_controls.among("switch-how", "zero", HOWS),
        )  # fmt: skip
        how = st.session_state["switch-how"]
        text = form(how, str(site), head, row, column)
        st.button(
            say("switch_off.add"), type="primary", key="switch-add", disabled=text in edits(), on_click=_add, args=(text,),
        )  # fmt: skip
        st.button(say("switch_off.clear"), key="switch-clear", disabled=not edits(), on_click=lambda: keep([]))
    if not edits():
        return
    with st.container(horizontal=True, gap="small", key="switch-edits"):
        for place, one in enumerate(edits()):
            st.button(f"{named(one)} ✕", key=f"switch-edit-{place}", on_click=_drop, args=(one,), help=f"`{one}`")


def _add(text: str) -> None:
    keep([*edits(), text])


def _drop(text: str) -> None:
    keep([one for one in edits() if one != text])


def read() -> list[Edit] | None:
    """The edits, None where one of them is none, which is said."""
    try:
        return [parse(text) for text in edits()]
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None


def named(text: str) -> str:
    """An edit in words: which head, and what is done to it."""
    try:
        edit = parse(text)
    except HeadlightError:
        return text[:60]
    heads = getattr(edit, "heads", None)
    if heads is None:
        return text[:60]
    place = str(heads).split(".")
    where = site_name(".".join(place[:3])) if ANY not in place[:3] else ".".join(place[:3])
    head = say("site.head", head=place[3]) if len(place) == 4 else say("switch_off.all_heads")
    return f"{where} · {head} · {_done(text)}"


def _done(text: str) -> str:
    kind, _, rest = text.partition(":")
    more = rest.split(":")[1:]
    if kind == "off":
        return say("switch_off.is_mean" if "mean" in more else "switch_off.is_off")
    if kind == "scale":
        return f"× {more[0]}"
    if kind == "hide":
        return say("switch_off.is_hidden", places=", ".join(more))
    return say("switch_off.is_put", pattern=", ".join(more))
