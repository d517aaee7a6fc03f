"""The tokens' paths through the layers in three principal components, of one text or of two at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import tokens
from viz.ui import language
from viz.ui.block import common
from viz.ui.block.common import BlockSelection
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, plotly_chart, second_run
from viz.ui.shared.widgets import mirror
from viz.ui.state import page_controls

if TYPE_CHECKING:
    from model.trace.trace import Trace

_TOKENS = 64  # lines of one text that can still be told apart


def show(chosen: BlockSelection) -> None:
    """Closed until it is asked for: the browser's plotly takes longer to come than the page."""
    page_text.heading("block.paths")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        opened = st.toggle(say("block.paths_open"), **page_controls.switch("block-paths"))
        unit = opened and st.toggle(
            say("block.paths_unit"), help=say("block.paths_unit_help"), **page_controls.switch("block-paths-unit")
        )
    if opened:
        _draw(chosen, _second(chosen), bool(unit))


def _draw(chosen: BlockSelection, other: Trace | None, unit: bool) -> None:
    import pandas as pd

    from model.residual import paths as stream_paths
    from model.residual import stream as residual_stream
    from model.steps.step import window
    from viz.plotly_figures import paths as pictures
    from viz.ui.theme import theme

    traces = [chosen.trace] if other is None else [chosen.trace, other]
    rows = [chosen.row, 0]
    cuts = [window(len(run.tokens(chosen.stack)), row, _TOKENS) for run, row in zip(traces, rows, strict=False)]
    names = residual_stream.streams(chosen.trace, chosen.stack)

    runs = [stream_paths.recorded(run, chosen.stack, cut, unit) for run, cut in zip(traces, cuts, strict=True)]
    if not all(bool(run.isfinite().all()) for run in runs):
        st.info(say("block.paths_not_finite"), icon=":material/info:")
        return
    key = (*(run.key for run in traces), chosen.stack, cuts[0].start, unit)
    found = common.cached("paths", key, lambda: stream_paths.paths(runs))
    labels = [
        [f"{i}: {label['text']}" for i, label in enumerate(tokens.labels(run, chosen.stack))][cut]
        for run, cut in zip(traces, cuts, strict=True)
    ]
    depths = [say("block.paths_before"), *(say("block.paths_after", layer=i) for i in range(len(names) - 1))]
    words = {"depth": say("block.depth"), "selected": say("block.paths_selected")}
    texts = [say(f"block.paths_text_{i}") for i in range(len(traces))]
    badge = chosen.check
    if other is not None and (second := figure_footer.run_badge(other)) != badge:
        badge += second
    figure = pictures.figure(found, labels, texts, depths, chosen.row - cuts[0].start, words, theme())
    said = f"{chosen.trace.key.model} · {language.stack(chosen.stack)} · {say('block.paths')}"
    plotly_chart.draw(figure, said, badge, f"{chosen.slug}-paths", "block-paths-chart")
    table = pd.DataFrame(
        [
            (texts[run], depth, cuts[run].start + i, labels[run][i].split(": ", 1)[1], *point)
            for run, points in enumerate(found.points)
            for depth, row in enumerate(points.tolist())
            for i, point in enumerate(row)
        ],
        columns=["text", "depth", "position", "token", "PC1", "PC2", "PC3"],
    )
    said = say("block.paths_sentence", share=f"{sum(found.share):.0%}")
    cut, count = cuts[0], len(chosen.texts)
    said += " " + say("block.plane_window", first=cut.start, last=cut.stop - 1) if count > _TOKENS else ""
    figure_footer.draw(
        "block-paths", said, badge, common.table_files(f"{chosen.slug}-paths", table),
        code=(stream_paths.paths, stream_paths.recorded),
    )  # fmt: skip


def _second(chosen: BlockSelection) -> Trace | None:
    """The run of a second text, the one that Compare has too; what cannot be run is said, and the figure stays."""
    if not second_run.takes_text():
        return None
    key = mirror("block_text", second_run.told_text())
    st.text_input(
        say("block.paths_second"), key=key, placeholder=say("block.paths_second_hint"), width=560,
        on_change=second_run.keep_text, args=(key,),
    )  # fmt: skip
    return second_run.of_text()
