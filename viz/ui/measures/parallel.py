"""All measures of all heads as parallel coordinates: the heads that pass through the brushed ranges are picked everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.measures.registry import TABLE
from viz.base import export
from viz.ui import components
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, page_text
from viz.ui.state import page_controls, picked_heads

if TYPE_CHECKING:
    import pandas as pd

    from model.trace.trace import Trace
    from viz.plotly_figures.parallel import Axes, Range

_BOX = "measures-parallel-strip"
_BRUSH = "measures-brush"
_BRUSHED = "measures-brushed"  # of the session: the run and its ranges


def show(trace: Trace, table: pd.DataFrame, rows: dict[str, str]) -> None:
    """Closed until it is asked for: the browser's plotly takes longer to come than the rest of the page.

    rows: the short name of each sub-layer.
    """
    page_text.heading("measures.parallel")
    if not st.toggle(say("measures.parallel_open"), **page_controls.switch("measures-parallel")):
        return
    from model.measures import table as head_table
    from viz.plotly_figures import parallel
    from viz.ui.theme import theme

    axes = parallel.Axes(
        {measure.column: measure_words.short_name(measure.column) for measure in TABLE},
        rows, say("measures.site"), say("measures.parallel_layer"),
    )  # fmt: skip
    figure = parallel.lines(table, axes, theme()).update_layout(width=None)  # as wide as there is room
    with st.container(key=_BOX):
        st.plotly_chart(
            figure, width="stretch", theme=None, key="measures-parallel-chart",
            config={"displayModeBar": False},
        )  # fmt: skip
    ranges = _ranges(trace)
    components.brush(
        key=_BRUSH, data={"box": f"st-key-{_BOX}", "ranges": ranges}, on_ranges_change=_brushed(trace, table, axes)
    )
    if ranges:
        st.caption(_what_is_kept(len(parallel.kept(table, axes, ranges)), len(table)))
    slug = figure_footer.safe(trace.key.model)
    figure_footer.draw(
        "measures-parallel", say("measures.parallel_sentence", heads=len(table)),
        figure_footer.worst_badge(trace, trace.sites),
        lambda: {f"{slug}-measures-parallel.csv": lambda: export.table_csv(table)},
        code=(head_table.table, parallel.places, parallel.kept),
    )  # fmt: skip


def _what_is_kept(heads: int, total: int) -> str:
    if not heads:
        return say("measures.parallel_nobody")
    if heads > picked_heads.MOST:
        return say("measures.parallel_many", n=heads, all=total, most=picked_heads.MOST)
    return say("measures.parallel_kept", n=heads, all=total)


def _ranges(trace: Trace) -> dict[str, list[Range]]:
    """What is brushed of this run."""
    run, ranges = st.session_state.get(_BRUSHED, (None, {}))
    return ranges if run == trace.key else {}


def _brushed(trace: Trace, table: pd.DataFrame, axes: Axes) -> Callable[[], None]:
    """Pick the heads that remain; without a range, or with more heads than can be picked, the picks stay."""

    def take() -> None:
        from viz.plotly_figures import parallel

        told = st.session_state[_BRUSH].get("ranges")
        if not isinstance(told, dict):
            return
        ranges = {name: parts for name, given in told.items() if (parts := read(given))}
        st.session_state[_BRUSHED] = (trace.key, ranges)
        rows = parallel.kept(table, axes, ranges)
        if ranges and 0 < len(rows) <= picked_heads.MOST:
            picked_heads.pick([(table["site"][row], table["head"][row]) for row in rows])
        else:
            page_controls.act()

    return take


def read(given: object) -> list[Range]:
    """The browser's list of [low, high]; what is none is left out."""
    pairs = given if isinstance(given, list) else []
    return [
        (float(pair[0]), float(pair[1])) for pair in pairs
        if isinstance(pair, list) and len(pair) == 2
        and all(isinstance(end, int | float) and math.isfinite(end) for end in pair)
    ]  # fmt: skip
