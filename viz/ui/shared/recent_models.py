"""The models that this visitor opened lately: in the session, and in a cookie that ends with the browser's own session.

Nothing of it is kept on the server. What a cookie says is looked at like a link: it is offered only where it may be opened,
and nothing is fetched for it.
"""

from __future__ import annotations

import json
from urllib.parse import quote, unquote

import streamlit as st

from model.checkpoints.disk.shipped import is_small, shipped
from viz.ui.state import model_list

COOKIE = "headlight-recent"
_MOST = 6
_LONGEST = 300  # characters of a name
_BYTES = 3500  # of a cookie; a browser keeps 4,096 with its name


def noted() -> str:
    """After a page is drawn: the model whose run it showed has been opened. -> What the browser keeps, a cookie's value."""
    good, known = st.session_state.get("last_good"), _known()
    if good is not None and _not_listed(good.model) and len(good.model) <= _LONGEST:
        known = [good.model, *(name for name in known if name != good.model)][:_MOST]
        st.session_state.recent_models = known
    value = quote(json.dumps(known, ensure_ascii=False))
    while known and len(value) > _BYTES:  # a character of Chinese takes nine
        known = known[:-1]
        value = quote(json.dumps(known, ensure_ascii=False))
    return value if known else ""


def _not_listed(name: str) -> bool:
    """Whether the list has it for this alone that it was opened."""
    return name not in shipped() or is_small(name)


def offered() -> list[str]:
    """Names and paths that were opened and still open, the last one first."""
    return [name for name in _known() if not gone(name)]


def lost() -> list[str]:
    """Those that do not lie there any more."""
    return [name for name in _known() if gone(name)]


def gone(name: str) -> bool:
    """Whether nothing that may be opened lies under a name."""
    if name in model_list.found():
        return False
    place = model_list.place(name)
    try:
        return place is None or not place.exists()
    except OSError:
        return True


def _known() -> list[str]:
    if "recent_models" not in st.session_state:
        st.session_state.recent_models = _read(st.context.cookies.get(COOKIE, ""))
    return st.session_state.recent_models


def _read(value: object) -> list[str]:
    """The names in a cookie's value; anything else than a list of short texts is none."""
    try:
        told = json.loads(unquote(value, errors="strict")) if isinstance(value, str) and value else []
    except (ValueError, RecursionError):
        return []
    if not isinstance(told, list):
        return []
    names = [name for name in told if isinstance(name, str) and 0 < len(name) <= _LONGEST and name.isprintable()]
    return list(dict.fromkeys(names))[:_MOST]
