"""Small models with random weights, made on this computer at the press of a button: what a page needs and nobody opened."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from model.errors import HeadlightError, Stopped
from viz.ui import dials, frame, language, models, session, work
from viz.ui.language import say

_ASKED = "small-asked"


def offer(name: str, title: str, key: str, page: str, label: str = "", **how: object) -> None:
    """Makes the small model `name` (see model/checkpoints/small.py), opens it, and goes to `page`.

    On the page "comparing" it is the second model, and the first stays.
    """
    confined = models.confined()
    st.button(
        label or say("families.open_small", family=title),
        key=key,
        on_click=_ask,
        args=(name, title, page),
        disabled=confined,
        help=say("families.confined" if confined else "families.open_help"),
        **how,
    )


def _ask(name: str, title: str, page: str) -> None:
    dials.act()
    st.session_state[_ASKED] = (name, title, page)


def make_asked() -> None:
    """Make the small model that a button asked for, with a bar and Stop, and go where it is shown."""
    asked = st.session_state.get(_ASKED)
    if asked is None:
        return
    name, title, page = asked
    try:
        path = work.run(("small", name), lambda: _write(name), say("families.making", family=title))
    except Stopped:
        del st.session_state[_ASKED]
        return
    except HeadlightError as error:
        del st.session_state[_ASKED]
        st.error(language.explain(error), icon=":material/error:")
        return
    del st.session_state[_ASKED]
    if page == "comparing":
        session.change(against=f"model:{path}")
        st.rerun()
    session.change(model=str(path), **({"tab": session.view().tab} if page != "overview" else {}))
    st.session_state.notice = say("families.untrained", family=models.title(str(path)))
    if page == "overview":
        st.session_state.go_to = page
        frame.follow()
    else:
        st.rerun()


def _write(name: str) -> Path:
    from model.checkpoints import small

    return small.write(name)
