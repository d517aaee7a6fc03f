"""The plane of all pairs with a loop drawn around heads: these are picked everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.ui import language
from viz.ui.language import say
from viz.ui.state import page_controls, picked_heads, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    import numpy as np

    from model.compare.heads import PairwiseSimilarity
    from model.trace.site import Site
    from model.trace.trace import Trace


def draw(
    trace: Trace, group: PairwiseSimilarity, places: np.ndarray, words: dict[str, str], selected: tuple[Site, int], place: int
) -> None:  # fmt: skip
    """The dots of one group at `places` [n, 2], and what the loop holds where that cannot be picked."""
    from viz.plotly_figures import plane

    # With each new set of picks the chart is a new one: the loop goes, and its heads have their rims.
    key = f"comparing-loop-chart-{place}-{language.current()}-{view.current().picks}"
    figure = plane.plane(group, places, picked_heads.picked(trace), words, theme(), selected)
    st.plotly_chart(
        figure, width="content", theme=None, key=key, on_select=lambda: _pick(key),
        selection_mode=("lasso", "box"), config={"displayModeBar": False},
    )  # fmt: skip
    held = len(_held(key))
    if held > picked_heads.MOST:
        st.caption(say("comparing.loop_many", n=held, most=picked_heads.MOST))


def _held(key: str) -> list[picked_heads.Pick]:
    """The heads inside the loop of the chart `key`."""
    told = st.session_state.get(key)
    points = told.selection.get("points", []) if told is not None else []
    return picked_heads.parse(",".join(str(point.get("customdata", "")) for point in points))


def _pick(key: str) -> None:
    held = _held(key)
    if 0 < len(held) <= picked_heads.MOST:
        picked_heads.pick(held)
    else:
        page_controls.act()
