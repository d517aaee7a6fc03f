"""The page Atlas: all heads of a run in one figure, filled in while they are computed, ordered, filtered and picked."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import streamlit as st

from model.errors import Stopped
from viz.atlas import atlas
from viz.ui import language, navigation
from viz.ui.atlas import colours, compute, controls
from viz.ui.atlas.figure import View, draw
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, sink
from viz.ui.state import picked_heads
from viz.ui.state import view as session

if TYPE_CHECKING:
    from model.trace.trace import Trace
    from viz.ui.state import jobs

_EVERY = 0.5  # seconds between two looks at how far the work is
_PARTS = 2.0  # seconds between two drawings of a part of the pictures


def show(trace: Trace) -> None:
    """Everything between the title and the notes."""
    sites = [site for site in atlas.in_order(trace.sites) if not figure_footer.refused(trace, site)]
    if not sites:
        return
    size = atlas.size(trace)
    view = View(trace, sites, size, compute.gathered(trace.key, size, session.current().sink))
    job = compute.job(trace, view.found, sites, size, view.hows)
    values = view.values()
    asked = controls.shown(trace, values)
    controls.row(trace, view.exact, asked, values, lambda: colours.switch(view))
    _shown(view, job, asked, values)
    _links(trace)


def _shown(view: View, job: jobs.Job | None, layout: atlas.Shown, values: dict[atlas.Head, float]) -> None:
    """How far the work is, which looks after itself, and the figure of what is done."""
    filling = job is not None and job.thread.is_alive()
    with st.container(key="atlas-progress"):
        if filling:
            _follow(view, job)
        elif job is not None:
            _ended(job)
    sink.say_shares(list(atlas.measured(view.found.measures, "first").values()))
    draw(view, layout, values, whole=not filling)


def _follow(view: View, job: jobs.Job) -> None:
    """The bar, looked at again and again; the page is drawn again where all the pictures, or some more, are there."""
    drawn, looks, since = view.done, count(), time.monotonic()

    @st.fragment(run_every=_EVERY)
    def look() -> None:
        # The first look is part of the page's run, which draws what is done.
        if next(looks):
            more = view.done != drawn and (view.pictured or time.monotonic() - since > _PARTS)
            if more or not job.thread.is_alive():
                st.rerun()
        _progress(job)

    look()


def _progress(job: jobs.Job) -> None:
    """How far it is, and Stop."""
    with st.container(horizontal=True, vertical_alignment="center"):
        what = say(f"progress.{job.what}") if job.what else ""
        st.progress(job.fraction or 0.0, text=f"{say('atlas.filling')} · {what}", width="stretch")
        st.button(say("work.stop"), on_click=job.stopping.set, key="stop-atlas", type="tertiary")


def _ended(job: jobs.Job) -> None:
    """After Stop, or where something went wrong: what is done stays, and it can go on."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if isinstance(job.error, Stopped):
            st.info(say("atlas.stopped"), icon=":material/stop_circle:", width="stretch")
        elif job.error is not None:
            st.error(language.explain(job.error), icon=":material/error:", width="stretch")
        st.button(say("atlas.go_on"), on_click=compute.again, key="atlas-again")


def _links(trace: Trace) -> None:
    """What is selected and picked, and where to look at it closely."""
    picked = picked_heads.picked(trace)
    page_text.selection_line(trace)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="atlas-doors"):
        navigation.link("heads", say("atlas.door_heads"))
        navigation.link("map", say("atlas.door_map"))
        if picked:
            navigation.link("comparing", say("atlas.door_compare", n=len(picked)))
            st.button(say("atlas.unpick"), key="atlas-unpick", on_click=lambda: picked_heads.pick([]), type="tertiary")
