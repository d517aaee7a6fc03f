"""The selected head: as a matrix, and beside it on the picture or the sound that was read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.trace.site import Site
from viz.base import axes, export, numbers, tokens
from viz.heads import color_scale, matrix, patches
from viz.ui import components, language, tile_server
from viz.ui.language import say
from viz.ui.shared import figure_footer, sink
from viz.ui.shared.side_bar import site_name
from viz.ui.state import view

if TYPE_CHECKING:
    import altair as alt

    from model.trace.attention_record import AttentionRecord
    from model.trace.trace import Trace


def _matrix_files(trace: Trace, site: Site, head: int) -> dict[str, Callable[[], bytes]]:
    """The weights that are drawn; what may be attended is as the run has it."""
    record, recorded = sink.drawn(trace).record(site), trace.record(site)
    rows, columns = trace.tokens(site.query_side), trace.tokens(site.key_side)

    def csv() -> bytes:
        return export.head_csv(record, head, tokens.query_names(trace, site), columns)

    def npz() -> bytes:
        return export.head_npz(
            record, head, q=record.head("q", head).numpy(), k=record.head("k", head).numpy(),
            v=record.head("v", head).numpy(), scale=np.array(record.scale), queries=rows, keys=columns, mask_of=recorded,
        )  # fmt: skip

    slug = f"{figure_footer.safe(trace.key.model)}-{site}-head{head}{sink.slug()}"
    return {f"{slug}.csv": csv, f"{slug}.npz": npz}


def select_cell(key: str, record: AttentionRecord, head: int, shown: axes.Axes) -> None:
    """A click on a figure's cell: the token pair behind it, the strongest where it stands for several."""
    if picked := st.session_state[key].get("select"):
        row, column = axes.strongest(record, head, shown, (int(picked["row"]), int(picked["column"])))
        view.change(row=row, column=column)


def _part_shown(shown: axes.Axes) -> str:
    """Which part of a long side a figure shows, in words; "" where it is all."""
    if all(axis.whole for axis in shown):
        return ""
    rows, columns = (f"{axis.starts[0]}–{axis.stop - 1}" for axis in shown)
    return say("axes.part", rows=rows, columns=columns, queries=f"{shown[0].total:,}", keys=f"{shown[1].total:,}")


def remarks(trace: Trace, site: Site, shown: axes.Axes) -> str:
    merged = view.current().by_word and axes.mergeable(trace, site)
    return " ".join(filter(None, (say("axes.by_word") if merged else "", _part_shown(shown))))


def _files_hold(record: AttentionRecord, shown: axes.Axes) -> str:
    """That the files hold the whole of what is drawn in part, and how much that is."""
    if all(axis.whole for axis in shown):
        return ""
    cells = record.queries * record.keys
    return say("matrix.files", queries=f"{record.queries:,}", keys=f"{record.keys:,}", size=numbers.size(4 * cells))


def attention_matrix(trace: Trace, max_height: int = 560) -> None:
    """The selected head as a clickable matrix; of a long text a window of it, and a map of the whole."""
    site, head, row, column = view.selected()
    if figure_footer.refused(trace, site):
        return
    picture = sink.drawn(trace)
    record = picture.record(site)
    words = language.group("matrix") | {
        "alt": say("matrix.alt_text", site=site_name(site), head=head, rows=record.queries, columns=record.keys)
    }
    shown = axes.axes(trace, site, (row, column), bool(view.current().by_word))
    most = color_scale.largest(record, head, shown)
    end = color_scale.end(most, view.current().scale)
    words["legend"] = _legend(most, end)
    words |= {"sums": say("map.sums"), "added": say("map.added"), "log_sum": say("map.log_sum")}
    if not all(axis.whole for axis in shown):
        _map(picture, site, head, (row, column), words, end)
    # The arithmetic is of the weight as the model has it: not of one that was scaled.
    address = "" if view.current().sink == "scaled" else tile_server.address(trace, site, head)
    frame = matrix.matrix_frame(picture, site, head, (row, column), words, max_height, shown, end, address, True)
    components.matrix(
        key="matrix", data=frame, on_select_change=lambda: select_cell("matrix", record, head, shown)
    )  # fmt: skip
    sentence = f"{sink.sentence()} {remarks(trace, site, shown)} {_files_hold(record, shown)}".rstrip()
    figure_footer.draw(
        "matrix", sentence, sink.told(figure_footer.site_badge(trace, site)), lambda: _matrix_files(trace, site, head),
        figure=_static(picture, site, head, shown, end), code=code_of(trace.record(site)),
    )  # fmt: skip


def _static(
    trace: Trace, site: Site, head: int, shown: axes.Axes, end: float
) -> Callable[[], alt.Chart | alt.LayerChart] | None:
    """The matrix as it is shown, for a file; None where it has more rows or columns than a file of marks should."""
    if max(len(axis.labels) for axis in shown) > export.LARGEST:
        return None

    def draw() -> alt.Chart | alt.LayerChart:
        from viz.base import static_chart

        values, allowed = matrix.cells(trace.record(site), head, shown)
        rows, columns = ([label["text"] for label in axis.labels] for axis in shown)
        told = matrix.header(trace, site, shown, None, language.group("matrix"))
        titles = (told["row_title"], told["column_title"], sink.legend())
        chart = static_chart.heat_map(values, rows, columns, 0.0, end, allowed, titles)
        return chart.properties(title=f"{site_name(site)} · {say('site.head', head=head)}")

    return draw


def code_of(record: AttentionRecord) -> tuple[Callable[..., object], ...]:
    """The functions that made the weights: of the record, and the softmax that both it and the model use."""
    from model.transformer.attention import softmax

    return type(record).weights, type(record).scores, type(record).products, softmax


def _legend(most: float, end: float) -> str:
    """What the colours' scale ends at, and why it ends there where nobody chose."""
    chosen = view.current().scale
    kind = chosen or color_scale.suggested(most)
    told = {
        "end": color_scale.written(end),
        "most": numbers.short(most),
        "pale": color_scale.written(color_scale.PALE),
    }
    why = say("matrix.legend_pale", **told) if kind == "max" and not chosen else ""
    return f"{sink.legend()} · {say(f'matrix.legend_{kind}', **told)}{why}"


def _map(trace: Trace, site: Site, head: int, at: tuple[int, int], words: dict[str, str], end: float) -> None:
    """The whole head in blocks; a click moves the window below it to the block's strongest cell."""
    record = trace.record(site)
    words = sink.masked(words) | {"help": say("axes.map_help")}
    frame = matrix.map_frame(trace, site, head, at, words, end=end)
    blocks = axes.map_axes(record)
    components.matrix(
        key="map", data=frame, on_select_change=lambda: select_cell("map", record, head, blocks)
    )  # fmt: skip
    rows, columns = (axis.tokens(0).stop for axis in blocks)
    st.caption(say("axes.map", rows=rows, columns=columns))


def beside(trace: Trace) -> None:
    """What the selected head reads of a picture or a sound, shown on the picture or the sound itself."""
    site, head, row, column = view.selected()
    if not trace.fidelity().holds_at(str(site)):
        return
    if patches.has_picture(trace, site):
        asks = "alt_text" if site.query_side == site.key_side else "alt_written"
        words = language.group("patches") | {"alt": say(f"patches.{asks}", site=site_name(site), head=head)}
        frame = patches.patches_frame(sink.drawn(trace), site, head, (row, column), words)
        components.patches(key="patches", data=frame, on_select_change=lambda: _select_patch(trace, site, head))
        st.caption(say("patches.sentence"))
    elif patches.has_sound(trace, site):
        words = language.group("sound")
        st.altair_chart(patches.attention_over_sound(sink.drawn(trace), site, head, row, words))
        if trace.facts["padding"]:
            share = numbers.short(patches.share_on_padding(trace, site, head, row))
            st.caption(say("sound.sentence", share=share))
        else:
            st.caption(say("sound.whole"))


def _select_patch(trace: Trace, site: Site, head: int) -> None:
    """A clicked patch or token asks; where it reads most is selected with it, unless a key was clicked."""
    picked = st.session_state["patches"].get("select")
    if picked:
        row = int(picked["row"])
        column = picked.get("column")
        view.change(row=row, column=int(trace.row(site, head, row).argmax()) if column is None else int(column))
