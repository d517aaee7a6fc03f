"""Which language the references are in: told by the model, or chosen by a person."""

from __future__ import annotations

from typing import Any

import streamlit as st

from viz.ui import language
from viz.ui.language import say
from viz.ui.state import page_controls, view


def choice(model: Any) -> str | None:
    """A list of the languages that the model writes; None where it is told from the references, or there is none to choose."""
    from model.evaluation.by_model import languages_of

    known = languages_of(model)
    if not known:
        return None
    chosen = st.selectbox(
        say("evaluate.language"), ("", *known), width=200,
        format_func=lambda code: language.name(code) if code else say("evaluate.language_told"),
        **page_controls.among(f"evaluate-language@{view.current().model}", "", ("", *known)),
    )  # fmt: skip
    return chosen or None
