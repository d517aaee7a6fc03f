"""The page Forming: one head of this session's text at every step of a training, its measures as curves, two steps compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui import language
from viz.ui.forming import curves, every_head, matrix, runs, two_steps
from viz.ui.language import say
from viz.ui.shared import page, page_text, side_bar
from viz.ui.state import model_list, page_controls, view

if TYPE_CHECKING:
    from model.forming.over_steps import StepRun
    from model.trace.trace import Trace


def show() -> None:
    """Everything below the title."""
    name = view.current().model
    steps = [] if model_list.is_trace(name) else runs.steps_of(name)
    if len(steps) < 2:
        page.shown()
        _no_history()
        return
    trace = page.shown()
    found = runs.recorded(trace, steps)
    if found is None:
        return
    side_bar.head_picker(trace, words=False)
    step = matrix.chosen_step(steps, runs.step_of(name, steps))
    # The weight is the matrix's to say: it follows the slider while it is moved.
    page_text.selection_line(matrix.at_step(found, step).trace, weight=False)
    _figures(trace, found, step)


def _figures(trace: Trace, found: list[StepRun], step: int) -> None:
    from model.forming.over_steps import table

    site, head, _, _ = view.selected()
    measured = table(found)
    with st.container(key="figures"):
        left, right = st.columns([5, 4], gap="medium")
    with left:
        matrix.show(trace, found, step)
    with right, st.container(key="forming-curves-at-rest"):
        curves.show(trace, found, measured, (str(site), head), step)
    told = (model_list.card(view.current().model).get("snapshots") or {}).get("largest_weight_change")
    if told is not None and step != found[-1].step:
        st.caption(say("forming.eight_bits", change=numbers.short(told)))
    with st.container(key="forming-heads-at-rest"):
        every_head.show(found, step)
        two_steps.show(found, step)


def _no_history() -> None:
    """That the model at hand has none, and which do."""
    st.info(say("forming.none"), icon=":material/info:")
    with st.container(horizontal=True, gap="small"):
        for name in runs.shipped_histories():
            title = language.plain(model_list.title(name))
            st.button(say("forming.open", title=title), key=f"forming-open-{name}", on_click=_open, args=(name,))
    st.caption(say("forming.how"))
    st.code("python -m model train copy --steps 200 --out DIR", language="bash")


def _open(name: str) -> None:
    page_controls.act()
    view.change(model=name)
