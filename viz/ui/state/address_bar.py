"""What the session looks at, mirrored in the address bar: a pasted link restores the page.

Every field of the view is in it under a short name, with the controls of the page (`viz.ui.state.page_controls`).
"""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from urllib.parse import urlencode

import streamlit as st

from model.errors import UnknownModel
from viz.ui import components, language
from viz.ui.state import long_texts, model_list, page_controls, view

# The names in the link, short and the same in every language.
_IN_LINK = {
    "model": "model", "text": "text", "target": "target", "to": "to", "site": "site", "head": "head", "row": "q",
    "column": "k", "heads": "heads", "step": "step", "hand": "hand", "pair": "pair", "chat": "chat", "new": "new",
    "by_word": "words", "media": "media", "scale": "scale", "sink": "sink", "other": "other", "tab": "tab",
    "picks": "picks", "area": "area", "against": "against", "profile": "profile",
}  # fmt: skip
# More tokens than this are not written at once, whatever a link says.
_MOST = {"new": 60, "chat": 1, "by_word": 1}
_CHOICES = {"scale": view.SCALES, "sink": view.WITHOUT_SINK}
_SWITCHES = ("chat", "new", "by_word")
_FROM_ZERO = (*_SWITCHES, "head")
_ASKED = ("head", "q", "k", "to", "lang")
_HALVES = re.compile("[\ud800-\udfff]")  # of characters, which no browser can be sent


def start() -> None:
    """Once a script run, before anything is drawn: take the link's values when they are not the ones we wrote."""
    told, link, lost = _read()
    page_controls.begin()
    fresh = "view" not in st.session_state
    if fresh:
        st.session_state.view = view.View()
        st.session_state.language = language.from_browser()
    # A second quick click arrives with the link of before the first; what a person just did counts, not that link.
    st.session_state.pressed = st.session_state.pop("acted", False)
    foreign = not st.session_state.pressed and _foreign()
    if foreign and told.get("lang") in language.LANGUAGES:
        st.session_state.language = told["lang"]
    if fresh or (link and foreign):
        _accept(told, link, lost)


def arrive(page: str) -> None:
    """Once a script run, when its page is known. Another one than before that comes with a link is the browser's Back or Forward:
    the link counts even where it was written last, for another model may be asked for and not be open yet."""
    before = st.session_state.get("page_before", page)
    st.session_state.page_before = page
    told, link, lost = _read()
    if link and page != before and not st.session_state.pressed:
        _accept(told, link, lost)


def _read() -> tuple[dict[str, str], dict[str, str], list[tuple[str, int, str]]]:
    """(what the link says, what of it the view has, the texts that it cannot bring back)."""
    told = {name: _HALVES.sub("\ufffd", text) for name, text in st.query_params.to_dict().items()}
    link = {key: told[name] for key, name in _IN_LINK.items() if name in told}
    long, lost = long_texts.restored(told)
    link |= long
    if any(name in long_texts.READ for name, *_ in lost):  # in another text it is another cell
        link = {key: value for key, value in link.items() if key not in ("row", "column")}
    return told, link, lost


def _accept(told: dict[str, str], link: dict[str, str], lost: list[tuple[str, int, str]]) -> None:
    st.session_state.taken_link = st.query_params.to_dict()
    _mention_lost(lost)
    _take(link, {name: told[name] for name in _ASKED if name in told})
    page_controls.take(told.get(page_controls.LINK, ""))
    view.fill_defaults(new=True)


def _mention_lost(lost: list[tuple[str, int, str]]) -> None:
    """One sentence for the texts that the link left out and that are not here any more."""
    if lost:
        texts = [_say_cut(name, length) + f" “{language.plain(start)}…”" for name, length, start in lost]
        st.session_state.notice = language.say("note.long_lost", texts=language.say("error.comma").join(texts))


def _say_cut(name: str, length: int) -> str:
    """A long text, named with its length."""
    return f"{language.say(f'long.{name}')} ({language.say('long.characters', n=f'{length:,}')})"


def left_out() -> list[str]:
    """What the link cannot carry of this view, named."""
    return [_say_cut(name, len(text)) for name, text in long_texts.cut(asdict(view.current())).items()]


def _foreign() -> bool:
    """Whether the link differs from the one this session wrote last: a pasted link or the browser's Back.

    One that was taken before is no news either: a press of a button may bring it once more.
    """
    return st.query_params.to_dict() not in [st.session_state.get(name) for name in ("written_link", "taken_link")]


def _take(link: dict[str, str], asked: dict[str, str]) -> None:
    """asked: what a remark names where the page does not show it as it was asked for."""
    numbers = {f.name for f in fields(view.View) if f.type == "int"}
    values = {}
    for key, value in link.items():
        if key in numbers:
            if re.fullmatch(r"-?[0-9]{1,6}", value):
                values[key] = max(0 if key in _FROM_ZERO else -1, min(int(value), _MOST.get(key, 999_999)))
        elif key not in _CHOICES or value in _CHOICES[key]:
            values[key] = value
    if min(values.get("row", -1), values.get("column", -1)) < 0:
        values |= {"row": -1, "column": -1}
    if not model_list.openable(values.get("model", view.View.model)):
        view.refuse(values["model"], UnknownModel(name=values["model"], allowed=", ".join(model_list.found())))
        values["model"] = view.View.model
    st.session_state.view = view.View(**({"text": ""} | values))
    st.session_state.asked = asked


def write(part: str = "", recent: str = "") -> None:
    """Mirror the view in the address bar, once, after the page is drawn; `part`: of a part of a page that runs by itself.

    recent: the value of the cookie of recently opened models (`viz.ui.shared.recent_models`), "" leaves it as it is.

    Streamlit's own `query_params` would add an entry to the browser's history at each change: Back would lead through all of
    them, and two for each page.
    """
    values = {
        _IN_LINK[key]: str(value)
        for key, value in asdict(view.current()).items()
        if value not in ("", -1) and not (key in _SWITCHES and value == 0)
    }
    values = long_texts.shortened(values)
    values["lang"] = language.current()
    if moved := page_controls.written():
        values[page_controls.LINK] = moved
    st.session_state.written_link = values
    # A page that is opened without its link, from the menu, gets the same one again: it is told anew each time.
    st.session_state.writes = st.session_state.get("writes", 0) + 1
    words = None if part else language.group("address")
    told = {"query": urlencode(values), "time": st.session_state.writes, "words": words, "recent": recent,
            "streamlit": None if part else language.of_streamlit()}  # fmt: skip
    with st.sidebar if not part else st.container(key=f"address-of-{part}"):
        components.address(key=f"address{part}", data=told)
