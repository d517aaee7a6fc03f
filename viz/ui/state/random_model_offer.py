"""Small models with random weights, made on this computer at the press of a button: what a page needs and nobody opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from model.errors import HeadlightError, Stopped
from model.families import random_title, random_title_of
from viz.ui import language, navigation
from viz.ui.language import say
from viz.ui.state import jobs, model_list, page_controls, view

_ASKED = "small-asked"


def offer(name: str, key: str, then: Callable[[Path], None], label: str = "", **how: object) -> None:
    """A button that makes the small model `name` (model/checkpoints/random_models/make.py) and does `then` with its folder."""
    confined, title = model_list.confined(), random_title(name)
    st.button(
        label or say("families.open_small", family=title),
        key=key,
        on_click=_ask,
        args=(name, title, then),
        disabled=confined,
        help=say("families.confined" if confined else "families.open_help"),
        **how,
    )


def _ask(name: str, title: str, then: Callable[[Path], None]) -> None:
    page_controls.act()
    st.session_state[_ASKED] = (name, title, then)


def make_asked() -> None:
    """Make the small model that a button asked for, with a bar and Stop, and do what the button is for."""
    asked = st.session_state.get(_ASKED)
    if asked is None:
        return
    name, title, then = asked
    try:
        path = jobs.run(("small", name), lambda: _write(name), say("families.making", family=title))
    except Stopped:
        del st.session_state[_ASKED]
        return
    except HeadlightError as error:
        del st.session_state[_ASKED]
        st.error(language.explain(error), icon=":material/error:")
        return
    del st.session_state[_ASKED]
    then(path)


def open_here(path: Path) -> None:
    """Open it on this page, whose open parts stay."""
    _open(path, tab=view.current().tab)
    st.rerun()


def open_first(path: Path) -> None:
    """Open it on the first screen."""
    _open(path)
    st.session_state.go_to = "overview"
    navigation.follow()


def _open(path: Path, **kept: object) -> None:
    view.change(model=str(path), **kept)
    st.session_state.notice = say("families.untrained", family=random_title_of(str(path)))


def _write(name: str) -> Path:
    from model.checkpoints.random_models import make

    return make.write(name)
