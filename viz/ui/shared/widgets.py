"""What every widget that shows a field of the view needs: its value before it is drawn, and a callback that keeps it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from viz.base import numbers
from viz.ui import language
from viz.ui.state import view

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler


def mirror(name: str, value: object, of: str = "") -> str:
    """Hand a widget the view's value before it is drawn; -> its key, which the language redraws the labels of on a switch.

    of: what the widget belongs to, where another must not inherit what was typed: a widget in a closed popover is not told
    of a new value, and its old one would come back with the next run.
    """
    key = f"{name}-{language.current()}" + (f"@{of}" if of else "")
    # The same key on another page is another widget to Streamlit: it reads the old one's value here and draws the first
    # option there, so on the first run of a page the value is handed over even where it seems to be known.
    context = get_script_run_ctx(suppress_warning=True)
    page, drawn = context.page_script_hash if context else "", st.session_state.setdefault("mirrored", {})
    if st.session_state.get(key) != value or drawn.get(key) != page:
        st.session_state[key], drawn[key] = value, page
    return key


def listed(name: str, value: int, labels: Sequence[str]) -> str:
    """`mirror` for a list whose labels change with the run: under one key the browser would send back the text that it
    had chosen among the old ones, which the new ones may not have."""
    return mirror(name, value, f"{zlib.crc32(chr(0).join(labels).encode()):08x}")


def signed(table: pd.DataFrame, digits: Mapping[str, int]) -> Styler:
    """A table for `st.dataframe` whose numbers have so many decimals and a true minus sign; what is NaN is a dash."""

    def shown(decimals: int) -> Callable[[float], str]:
        return lambda value: "–" if math.isnan(value) else numbers.minus(f"{value:.{decimals}f}")

    return table.style.format({name: shown(decimals) for name, decimals in digits.items()})


def keep(name: str, key: str) -> None:
    """Write a widget's value to the view; nothing chosen is an empty text."""
    value = st.session_state[key]
    view.change(**{name: "" if value is None else value})


def switch(name: str, label: str, why: str, of: str = "") -> None:
    """A toggle for a field of the view that is 0 or 1."""
    key = mirror(name, bool(getattr(view.current(), name)), of)
    st.toggle(label, key=key, help=why, on_change=lambda: view.change(**{name: int(st.session_state[key])}))


def parts(name: str, label: str, options: Sequence[str], default: str, titles: Callable[[str], str], **how: Any) -> str:
    """The parts of a page as buttons of which one is pressed; the link carries which. -> one of `options`.

    default: what is open where nobody chose, or chose what this run does not have.
    """
    chosen = view.tab(name)
    value = chosen if chosen in options else default
    key = mirror(name, value)
    picked = st.segmented_control(
        label, options, format_func=titles, key=key, required=True, label_visibility="collapsed",
        on_change=lambda: view.open_tab(name, st.session_state[key]), **how,
    )  # fmt: skip
    return picked or value
