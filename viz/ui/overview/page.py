"""The first screen: the sentence, the answer, and the whole model with what every part computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from model.errors import Stopped
from model.jobs.progress import tick
from model.measures import default_head
from model.trace.site import Site
from viz.base import axes, export, numbers, tokens
from viz.base.check_note import CheckNote, note
from viz.heads import matrix, thumbnails
from viz.overview import overview
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer, sink
from viz.ui.shared.side_bar import site_name
from viz.ui.state import current_run, jobs, model_list, page_controls, view
from viz.ui.state.default_head import drawn_head

if TYPE_CHECKING:
    import altair as alt
    from torch import Tensor

    from model.trace.trace import Trace

_DOORS = ("heads", "atlas", "steps", "by_hand", "models")
_TABLE = 2_000_000  # weights of which a table with a row each is made: 100 MB of text


def notes_key(trace: Trace) -> str:
    """Which remarks belong under the first picture of this run."""
    if not overview.drawable(trace):
        return "overview_long"
    if not any(site.kind == "cross" for site in trace.sites):
        return "overview_self"
    if not model_list.is_ours(trace.key.model):
        return "overview_cross"
    site, head, _, _ = view.selected()
    return (
        "overview" if site.kind != "cross" or default_head.crosses(_drawn(trace, site, head)) else "overview_straight"
    )


def _drawn(trace: Trace, site: Site, head: int) -> Tensor:
    """The rows whose words are drawn."""
    return trace.weights(site, head)[: overview.written_rows(trace)]


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


def _picture_words(trace: Trace, ribbon_head: tuple[Site, int], how: str) -> dict[str, str]:
    """The captions, which say what the rows of ribbons are for this model, and what the blocks of a long text show."""
    words = language.group("overview")
    if any(map(thumbnails.pooled, trace.attention.values())):
        words["legend"] = say(f"overview.legend_{how}")
    reads = trace.facts.get("reads")
    if reads:
        words["source"] = say("overview.seen") if reads == "picture" else say("overview.heard")
    elif model_list.is_trace(view.current().model):
        words["source"] = say("overview.read")
    words["inputs"] = _inputs(trace)
    stack = ribbon_head[0].key_side.partition(".")[0]
    if stack not in ("encoder", "decoder"):
        words["source"] = language.stack(stack)
    words |= {name: language.stack(name) for name in {site.stack for site in trace.sites} - {"encoder", "decoder"}}
    if st.session_state.get("towers"):
        words |= {name: (stack := language.stack(name))[:1].upper() + stack[1:] for name in ("encoder", "decoder")}
    if not any(site.kind == "cross" for site in trace.sites):  # two towers side by side hand nothing over
        words |= {"memory": "", "shifted": say("overview.compared")}
    elif trace.facts.get("own_module") and not trace.written():
        words["shifted"] = say("overview.read")
    if ribbon_head[0].kind == "cross" and not trace.written():
        words["target"] = language.stack(ribbon_head[0].query_side)
    elif ribbon_head[0].kind == "self":
        parts = reads or tokens.numbered(trace, ribbon_head[0].query_side)
        words["target"] = say("overview.asking_parts") if parts else say("overview.asking")
    elif not trace.facts.get("generated", True):
        words["target"] = say("overview.forced")
    written = " ".join(trace.written()[:-1]) if ribbon_head[0].kind == "cross" else ""
    return words | {"alt": say("overview.alt_text", source=trace.key.source[:200], target=written)}


def _inputs(trace: Trace) -> str:
    """What the first layer reads: embeddings, with positions added to them or not, or vectors that nothing more is known of."""
    told = {str(trace.facts["positions"])} if trace.facts.get("positions") else set()
    if not told and not trace.facts.get("own_module") and (model := current_run.model()) is not None:
        from model.checkpoints.library.describe import positions_of
        from model.positions.tables import position_tables

        # Some have a table to add and a bias of the scores.
        told = {"learned"} if position_tables(model.module) else set(positions_of(model.module))
    if told:
        return say("overview.inputs") if told & {"sinusoidal", "learned"} else say("overview.inputs_alone")
    turned = any(f"{site}.rotary" in trace.store for site in trace.sites)
    return say("overview.inputs_alone") if turned else say("overview.inputs_unknown")


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
        _picture_words(trace, ribbon_head, how),
        ribbon_title,
        doors,
        editable,
        merge,
        how,
    )

    def go() -> None:
        _go(picture, overview.ribbon_axes(trace, ribbon_head[0], True) if merge else None)

    _say_sink(trace, ribbon_head)
    components.overview(key="overview", data=frame, on_go_change=go, on_text_change=go)

    def files() -> dict[str, Callable[[], bytes]]:
        name = figure_footer.safe(now.model)
        table = {f"{name}-weights.csv": lambda: export.trace_csv(trace)} if _weights(trace) <= _TABLE else {}
        return {
            f"{name}-trace.npz": lambda: export.trace_npz(trace), **table,
            f"{name}-trace.safetensors": lambda: export.trace_file(trace),
        }  # fmt: skip

    figure_footer.draw(
        "overview",
        " ".join(_picture_remarks(trace, ribbon_head, how)),
        _badges(trace),
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
    longest = max(len(side.tokens) for side in trace.sides.values())
    remarks = [say("overview.sentence")]
    if any(map(thumbnails.pooled, trace.attention.values())):
        remarks.append(say(f"overview.pooled_{how}"))
    if overview.drawable(trace):
        remarks.append(
            say(
                f"overview.pointed_{ribbon_head[0].kind}",
                weight=numbers.short(default_head.pointed(trace, *ribbon_head)),
            )
        )
    else:
        remarks.append(say("overview.long", n=f"{longest:,}"))
    if _weights(trace) > _TABLE:
        remarks.append(say("overview.no_table", n=f"{_weights(trace):,}"))
    return remarks


def _weights(trace: Trace) -> int:
    """All weights of a run."""
    return sum(record.heads * record.queries * record.keys for record in trace.attention.values())


def _badges(trace: Trace) -> CheckNote:
    fidelity = trace.fidelity()
    check = figure_footer.worst_badge(trace, trace.sites)
    if fidelity.rows is not None:
        first = replace(check.parts[0], said=f"{check.parts[0].said} {say('foot.rows', rows=fidelity.rows)}")
        check = CheckNote((first, *check.parts[1:]))
    if fidelity.logits_error is not None and fidelity.logits_hold:
        check += note(say("foot.logits", error=numbers.short(fidelity.logits_error)), True)
    opening = trace.facts.get("opening", {})
    if "weights" in opening:
        check += note(say("foot.opening", error=numbers.short(opening["weights"])), True)
    return check
