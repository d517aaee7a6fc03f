"""The selected head at two steps beside each other, and what one has more than the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui.compare import two_heads
from viz.ui.compare.pair import HeadOfRun, HeadPair
from viz.ui.forming.matrix import at_step
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import page_controls, view

if TYPE_CHECKING:
    from model.forming.over_steps import StepRun


def show(found: list[StepRun], step: int) -> None:
    """Closed at first; the second step is the slider's."""
    st.toggle(say("forming.two"), **page_controls.switch("forming-two"))
    if not st.session_state["forming-two"]:
        return
    steps = [run.step for run in found]
    others = [other for other in steps if other != step]
    before = st.selectbox(
        say("forming.first_step"), others, format_func=lambda each: f"{each:,}", width=200,
        **page_controls.among("forming-before", others[0], others),
    )  # fmt: skip
    site, head, _, _ = view.selected()
    ends = [
        HeadOfRun(at_step(found, at).trace, site, head, say("matrix.step", step=f"{at:,}")) for at in (before, step)
    ]
    if any(figure_footer.refused(end.trace, site) for end in ends):
        return
    record = ends[0].trace.record(site)
    same = [tuple((i, i) for i in range(n)) for n in (record.queries, record.keys)]
    less = say("forming.less", first=f"{before:,}", second=f"{step:,}")
    two = HeadPair("steps", (ends[0], ends[1]), same[0], same[1], less)
    page_text.heading("forming.pair", first=f"{before:,}", second=f"{step:,}")
    two_heads.matrices(two)
    pair = two_heads.compared(two)
    said = say("forming.apart", mean=numbers.short(pair.mean), most=numbers.short(pair.largest[0]))
    slug = f"{figure_footer.safe(ends[1].trace.key.model)}-{site}-head{head}-steps{before}-{step}"
    two_heads.draw_footer(two, pair, said, slug)
