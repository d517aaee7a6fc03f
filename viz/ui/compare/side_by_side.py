"""Picked heads beside each other, with cells of one size, and all of them as one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.attention import rows
from viz.base import axes, export
from viz.heads import matrix
from viz.ui import components, language
from viz.ui.compare.two_heads import head_name
from viz.ui.language import say
from viz.ui.shared import figure_footer
from viz.ui.shared.side_bar import site_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import altair as alt

    from model.trace.trace import Trace
    from viz.base.axes import Axes
    from viz.ui.state.picked_heads import Pick

_ACROSS = 3


def show(trace: Trace, heads: Sequence[Pick], at: tuple[int, int]) -> None:
    """at: the selected (query, key), where a head has it. A sub-layer that does not check has no picture."""
    heads = [(name, head) for name, head in heads if trace.fidelity().holds_at(name)]
    if not heads:
        return
    records = {name: trace.record(name) for name, _ in heads}
    places = {
        name: at if at[0] < record.queries and at[1] < record.keys else (0, 0) for name, record in records.items()
    }
    shown = {name: axes.axes(trace, record.site, places[name]) for name, record in records.items()}
    words = language.group("matrix")
    room = matrix.common_room(trace, {records[name].site: both for name, both in shown.items()}, words)
    with st.container(key="ways-heads"):
        for area, (name, head) in zip(st.columns(len(heads)), heads, strict=True):
            record = records[name]
            alt = say("matrix.alt_text", site=site_name(name), head=head, rows=record.queries, columns=record.keys)
            frame = matrix.matrix_frame(
                trace, record.site, head, places[name], words | {"alt": alt}, 470, shown[name], room=room
            )
            with area:
                st.markdown(f"**{head_name(name, head)}**")
                components.matrix(key=f"comparing-{name}-{head}", data=frame)
    _footer(trace, heads, shown)


def _footer(trace: Trace, heads: Sequence[Pick], shown: dict[str, Axes]) -> None:
    """All of them in one table, one npz and one picture."""
    axes_titles = {
        "query": say("matrix.query"),
        "query_decoder": say("matrix.query_decoder"),
        "key": say("matrix.key"),
    }
    slug = f"{figure_footer.safe(trace.key.model)}-picked-heads"
    records = {name: trace.record(name) for name in shown}
    cells = sum(records[name].queries * records[name].keys for name, _ in heads)

    def csv() -> bytes:
        return b"".join(
            export.site_csv(trace, records[name].site, begins=place == 0, heads=[head])
            for place, (name, head) in enumerate(heads)
        )

    def npz() -> bytes:
        whole = {
            f"{name}.{head}": (
                (records[name].queries, records[name].keys),
                np.float32,
                rows.in_blocks(records[name], head),
            )
            for name, head in heads
        }
        return export.rows_npz(whole)

    def files() -> dict[str, Callable[[], bytes]]:
        return ({f"{slug}.csv": csv} if cells <= export.MOST_ROWS else {}) | {f"{slug}.npz": npz}

    def figure() -> alt.VConcatChart:
        from viz.base import static_chart

        charts = []
        for name, head in heads:
            values, allowed = matrix.cells(records[name], head, shown[name])
            texts = ([label["text"] for label in axis.labels] for axis in shown[name])
            told = matrix.header(trace, records[name].site, shown[name], None, axes_titles)
            titles = (told["row_title"], told["column_title"], say("matrix.legend"))
            charts.append(
                static_chart.heat_map(values, *texts, 0.0, 1.0, allowed, titles).properties(title=head_name(name, head))
            )
        across = [static_chart.beside(charts[first : first + _ACROSS]) for first in range(0, len(charts), _ACROSS)]
        return static_chart.above(*across)

    largest = max(len(axis.labels) for both in shown.values() for axis in both)
    figure_footer.draw(
        "comparing-picked", say("matrix.sentence"), figure_footer.worst_badge(trace, [each.site for each in records.values()]),
        files, figure if largest <= export.LARGEST else None, (type(next(iter(records.values()))).weights,),
    )  # fmt: skip
