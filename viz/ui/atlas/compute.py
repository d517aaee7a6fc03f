"""Thumbnails and measures of all heads of a run: filled in by a job with progress and Stop, and cached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.jobs.held_bytes import held_bytes
from viz.ui.shared import sink
from viz.ui.state import jobs as work
from viz.ui.state import memory_budget, view

if TYPE_CHECKING:
    from torch import Tensor

    from model.measures.head_statistics import HeadStatistics
    from model.trace.site import Site
    from model.trace.trace import Trace, TraceKey

# Most runs are done within this time and are drawn once, whole.
PATIENCE = 1.5


@dataclass(eq=False)
class Gathered:
    """pooled: by "max" or "mean", what is done of each site, [h, R, C]; closed: bool [R, C], the bins that are masked."""

    pooled: dict[str, dict[Site, Tensor]] = field(default_factory=lambda: {"max": {}, "mean": {}})
    closed: dict[Site, np.ndarray] = field(default_factory=dict)
    measures: dict[Site, HeadStatistics] = field(default_factory=dict)

    @property
    def all_measures(self) -> bool:
        """Whether the measures are known, the costly ones too."""
        return bool(self.measures) and all(found.costly for found in self.measures.values())

    def lacks(self, sites: list[Site], hows: tuple[str, ...]) -> bool:
        return not self.measures or any(site not in self.pooled[how] for how in hows for site in sites)


def gathered(key: TraceKey, size: int, sink: str = "") -> Gathered:
    """The one of this run, for every session that looks at it; sink: of pictures without it, which share the measures."""
    found = memory_budget.shared().get("pictures", ("atlas", key, size, sink), Gathered, held_bytes)
    if sink:
        found.measures = gathered(key, size).measures
    return found


def _fill(trace: Trace, drawn: Trace, gathered: Gathered, sites: list[Site], size: int, hows: tuple[str, ...]) -> None:
    from model.attention.downsample import allowed_bins
    from model.attention.downsample_heads import trace_thumbnails
    from model.measures.head_statistics import trace_statistics

    for how in hows:
        left = [site for site in sites if site not in gathered.pooled[how]]
        for site, values in trace_thumbnails(drawn, size, how, left):
            gathered.closed[site] = ~allowed_bins(drawn.record(site), size).numpy()
            gathered.pooled[how][site] = values
    if not gathered.measures:
        gathered.measures.update(trace_statistics(trace))


def job(trace: Trace, gathered: Gathered, sites: list[Site], size: int, hows: tuple[str, ...]) -> work.Job | None:
    """The job that fills in what is missing, begun where it is not under way; None where nothing is.

    It is given `PATIENCE` to end; one that was stopped stays as it is until `again`.
    """
    jobs = st.session_state.setdefault("jobs", {})
    known = jobs.get("atlas")
    if not gathered.lacks(sites, hows):
        jobs.pop("atlas", None)
        return None
    drawn = sink.drawn(trace)
    key = ("atlas", trace.key, size, hows, view.current().sink)
    if known is None or known.key != key:
        if known is not None:
            known.stopping.set()
        known = jobs["atlas"] = work.Job(key, lambda: _fill(trace, drawn, gathered, sites, size, hows))
        known.thread.start()
        known.thread.join(PATIENCE)
    if not known.thread.is_alive() and known.error is None:
        jobs.pop("atlas", None)
        return None
    return known


def again() -> None:
    """Go on where it was stopped: what is done stays done."""
    st.session_state.get("jobs", {}).pop("atlas", None)
