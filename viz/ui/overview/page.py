"""The first screen: the sentence, the answer, and the whole model with what every part computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.errors import Stopped
from model.jobs.progress import tick
from model.measures import default_head
from model.trace.site import Site
from viz.base import axes, export, numbers
from viz.heads import matrix, thumbnails
from viz.overview import overview
from viz.ui import components
from viz.ui.language import say
from viz.ui.overview import captions, checks
from viz.ui.shared import figure_footer, sink
from viz.ui.shared.side_bar import site_name
from viz.ui.state import jobs, model_list, page_controls, view
from viz.ui.state.default_head import drawn_head

if TYPE_CHECKING:
    import altair as alt
    from torch import Tensor

    from model.trace.trace import Trace

_DOORS = ("heads", "atlas", "steps", "by_hand", "models")


def notes_key(trace: Trace) -> str:
    """Which remarks belong under the first picture of this run."""
    if not overview.drawable(trace):
        return "overview_long"
    if not any(site.kind == "cross" for site in trace.sites):
        return "overview_self"
    if not model_list.is_ours(view.model_of(trace)):
        return "overview_cross"
    site, head, _, _ = view.selected()
    return (
        "overview" if site.kind != "cross" or default_head.crosses(_drawn(trace, site, head)) else "overview_straight"
    )


def _drawn(trace: Trace, site: Site, head: int) -> Tensor:
    """The weights of the rows whose words are drawn."""
    return trace.weights(site, head)[: overview.written_rows(trace)]


def _drawn_rows(trace: Trace, site: Site) -> int | None:
    """How many of the first rows have ribbons, None where all have."""
    return overview.written_rows(trace) if site.kind == "cross" and trace.written() else None


def _go(trace: Trace, words: axes.Axes | None) -> None:
    """A click in the overview: select what was clicked (of two words the strongest pair of tokens), then switch the page."""
    state = st.session_state["overview"]
    if (text := state.get("text")) is not None:
        view.change(text=str(text), target="")
    if picked := state.get("go"):
        changes = {}
        if "site" in picked and "." in str(picked["site"]):
            changes |= {"site": str(picked["site"]), "row": -1, "column": -1}
        if "head" in picked:
            changes["head"] = int(picked["head"])
        if "row" in picked and "column" in picked:
            at = int(picked["row"]), int(picked["column"])
            if words is not None:
                at = axes.strongest(trace.record(changes["site"]), int(picked["head"]), words, at)
            changes |= {"row": at[0], "column": at[1]}
        if picked.get("part") == "output":
            changes["step"] = -1
        view.change(**changes)
        st.session_state.go_to = picked.get("page", "heads")


def _blocks_show(trace: Trace) -> str:
    """The switch of what a block of the thumbnails shows, where any is in blocks; -> "max" or "mean"."""
    records = trace.attention.values()
    if not any(map(thumbnails.pooled, records)):
        return "max"
    how = st.segmented_control(
        say("overview.how"), thumbnails.HOW, format_func=lambda option: say(f"atlas.how_{option}"), required=True,
        help=say("overview.how_help"), **page_controls.among("overview-how", "max", thumbnails.HOW),
    ) or "max"  # fmt: skip
    if not all(thumbnails.is_made(record, how) for record in records):

        def make() -> None:
            for i, record in enumerate(records):
                tick("pictures", i / len(records))
                thumbnails.heads(record, how)

        jobs.run(("overview_pictures", trace.key, how, view.current().sink), make, say("overview.wait_pictures"))
    return how


def model_picture(trace: Trace) -> None:
    """The first screen: the sentence, the answer, and the model with what every part computed."""
    now, picture = view.current(), sink.drawn(trace)
    site, head, row, column = view.selected()
    # The run that is shown: after a refused text that is the last good one's.
    ribbon_head = drawn_head(trace)
    selection = {"site": str(site), "head": head, "row": row, "column": column}
    ribbon_title = f"{site_name(ribbon_head[0])} · {say('site.head', head=ribbon_head[1])}"
    doors = [{"page": page, "text": say(f"door.{page}"), "why": say(f"door.{page}_why")} for page in _DOORS]
    editable = not model_list.is_trace(now.model) and not trace.facts.get("reads")
    merge = bool(now.by_word) and overview.drawable(trace)
    try:
        how = _blocks_show(picture)
    except Stopped:  # the other pictures are there
        how = "max" if all(map(thumbnails.is_made, picture.attention.values())) else "mean"
    frame = overview.overview_frame(
        picture,
        ribbon_head,
        selection,
        captions.of_picture(trace, ribbon_head, how),
        ribbon_title,
        doors,
        editable,
        merge,
        how,
    )

    def go() -> None:
        _go(picture, overview.ribbon_axes(trace, ribbon_head[0], True) if merge else None)

    _say_sink(trace, ribbon_head)
    if not overview.drawable(trace) and not trace.facts.get("reads"):
        st.caption(say("overview.no_ribbons", n=f"{_longest(trace):,}"))
    components.overview(key="overview", data=frame, on_go_change=go, on_text_change=go)

    def files() -> dict[str, Callable[[], bytes]]:
        name = figure_footer.safe(now.model)
        table = (
            {f"{name}-weights{sink.slug()}.csv": lambda: export.trace_csv(picture)}
            if _weights(trace) <= export.MOST_ROWS
            else {}
        )
        return {
            f"{name}-trace.npz": lambda: export.trace_npz(trace), **table,
            f"{name}-trace.safetensors": lambda: export.trace_file(trace),
        }  # fmt: skip

    figure_footer.draw(
        "overview",
        " ".join(_picture_remarks(trace, ribbon_head, how)),
        sink.told(checks.of_run(trace), "overview"),
        files,
        _ribbons(picture, ribbon_head, merge),
    )


def _say_sink(trace: Trace, ribbon_head: tuple[Site, int]) -> None:
    """What the pictures are without: of all heads, or of a long text of the one that is selected."""
    drawable = overview.drawable(trace)
    sink.say_share(trace, *(ribbon_head if drawable else view.selected()[:2]), every=drawable)


def _ribbons(trace: Trace, ribbon_head: tuple[Site, int], merge: bool) -> Callable[[], alt.LayerChart] | None:
    """The ribbons as a figure for a file; None where there are more tokens than ribbons are drawn for."""
    if not overview.drawable(trace) or trace.facts.get("reads"):
        return None

    def draw() -> alt.LayerChart:
        from viz.heads import ribbons

        site, head = ribbon_head
        rows, columns = overview.ribbon_axes(trace, site, merge)
        values, _ = matrix.cells(trace.record(site), head, (rows, columns))
        texts = [[label["text"] for label in axis.labels] for axis in (rows, columns)]
        return ribbons.chart({head: values}, *texts, across=True, head_name=say("lines.head_name", head="{head}"))

    return draw


def _picture_remarks(trace: Trace, ribbon_head: tuple[Site, int], how: str) -> list[str]:
    remarks = [say("overview.sentence")]
    if any(map(thumbnails.pooled, trace.attention.values())):
        remarks.append(say(f"overview.pooled_{how}"))
    if overview.drawable(trace):
        weight = default_head.pointed(trace, *ribbon_head, _drawn_rows(trace, ribbon_head[0]))
        if not math.isnan(weight):
            remarks.append(say(f"overview.pointed_{ribbon_head[0].kind}", weight=numbers.short(weight)))
    else:
        remarks.append(say("overview.long", n=f"{_longest(trace):,}"))
    if _weights(trace) > export.MOST_ROWS:
        remarks.append(say("overview.no_table", n=f"{_weights(trace):,}"))
    return remarks


def _longest(trace: Trace) -> int:
    return max(len(side.tokens) for side in trace.sides.values())


def _weights(trace: Trace) -> int:
    """All weights of a run."""
    return sum(record.heads * record.queries * record.keys for record in trace.attention.values())
