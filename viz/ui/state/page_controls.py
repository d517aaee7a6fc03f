"""Sliders, switches and lists that belong to one page: each keeps its value under its own key, and the link brings it back.

Those that the page drew and that stand elsewhere than where they begin are in the link as `set=name.value~name.value`.
A name is the widget's key up to an `@`; what follows it (a model, a length) tells apart what must not share a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from viz.ui import language

LINK = "set"
_LONGEST = 300  # characters of a value in a link
_PAIR = re.compile(rf"([a-z][a-zA-Z0-9_-]{{0,48}})\.([^~]{{1,{_LONGEST}}})")


def begin() -> None:
    """Once a script run, before anything is drawn."""
    st.session_state.dials_drawn, st.session_state.dials_pasted = {}, False


def take(link: str) -> None:
    """A link that this session did not write: what the page draws now begins as the link says, else where it begins."""
    st.session_state.dials_told = dict(_PAIR.findall(link[:2000]))
    st.session_state.dials_pasted = True


def written() -> str:
    """What of this page's controls stands elsewhere than where it begins, "" where nothing does."""
    moved = []
    for key, (first, write) in st.session_state.dials_drawn.items():
        value = st.session_state.get(key, first)
        text = write(value)
        if value is not None and value != first and 0 < len(text) <= _LONGEST and "~" not in text:
            moved.append(f"{_name(key)}.{text}")
    return "~".join(moved)


def act() -> None:
    """A person moved something: the link that comes with this run is of before."""
    st.session_state.acted = True


def between(key: str, first: float, low: float, high: float) -> dict[str, Any]:
    """What a slider or number field takes for a number from `low` to `high`; a whole one where `first` is whole."""
    kind = type(first)

    def read(text: str) -> float | None:
        number = float(text) if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text) else float("nan")
        return kind(number) if low <= number <= high and kind(number) == number else None

    now = st.session_state.get(key)
    if now is not None and not low <= now <= high:  # a wider range had left it there
        st.session_state[key] = kind(min(max(low, now), high))

    def write(value: float) -> str:
        return f"{value:.9f}".rstrip("0").rstrip(".")  # no exponent, which `read` does not know

    return _drawn(key, first, read, write, f"{low:g}–{high:g}")


def switch(key: str, first: bool = False) -> dict[str, Any]:
    """What a toggle takes."""
    return _drawn(key, first, {"0": False, "1": True}.get, lambda value: str(int(value)), "0, 1")


def among(key: str, first: Any, options: Sequence[Any]) -> dict[str, Any]:
    """What a list or a row of buttons takes, of which one is chosen."""
    known = {str(option): option for option in options}
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    return _drawn(key, first, known.get, str, ", ".join(list(known)[:8]))


def several(key: str, first: list[int], options: Sequence[int], most: int) -> dict[str, Any]:
    """What a list takes of which up to `most` numbers are chosen."""

    def read(text: str) -> list[int] | None:
        if not re.fullmatch(r"[0-9]{1,9}(_[0-9]{1,9})*", text):
            return None
        found = list(dict.fromkeys(map(int, text.split("_"))))
        return found if set(found) <= set(options) and len(found) <= most else None

    if key in st.session_state:
        st.session_state[key] = [value for value in st.session_state[key] if value in options]
    return _drawn(key, first, read, lambda value: "_".join(map(str, value)), f"{options[0]}–{options[-1]}")


def noted(key: str, read: Callable[[str], str | None], allowed: str) -> str:
    """What was done in a figure, as text; of one key alone: a link's is not taken for another that shares its name."""
    _drawn(key, "", read, str, allowed)
    st.session_state.get("dials_told", {}).pop(_name(key), None)
    return st.session_state[key]


def put(key: str, value: Any) -> None:
    """What a person chose in a figure instead of in the control; see also `noted`."""
    st.session_state[key] = value
    act()


def _name(key: str) -> str:
    return key.split("@")[0]


def _drawn(
    key: str, first: Any, read: Callable[[str], Any], write: Callable[[Any], str], allowed: str
) -> dict[str, Any]:
    """Give the widget its value before it is drawn, and note that it was."""
    told = st.session_state.get("dials_told", {}).get(_name(key))
    again = key in st.session_state.dials_drawn  # a value may be asked for twice a run: what a person chose stays
    begun = st.session_state.setdefault("dials_begun", {})
    if key in st.session_state and st.session_state[key] == begun.get(key, first):
        st.session_state[key] = first  # what nobody moved follows what it begins with
    begun[key] = first
    if key not in st.session_state or (st.session_state.dials_pasted and not again):
        value = read(told) if told is not None else None
        if told is not None and value is None:
            st.warning(language.say("error.dial", name=_name(key), got=language.plain(told), allowed=allowed))
        st.session_state[key] = first if value is None else value
    st.session_state.dials_drawn[key] = (first, write)
    return {"key": key, "on_change": act, "persist_state": "session"}
