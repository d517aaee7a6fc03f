"""The page The block: which stack and token, and one of four panels: the stream, the norm, the units, the activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from model.errors import HeadlightError, Stopped
from viz.base import tokens
from viz.ui import language
from viz.ui.block.common import BlockSelection, go
from viz.ui.language import say
from viz.ui.shared.widgets import listed, mirror, parts
from viz.ui.state import view

if TYPE_CHECKING:
    from model.trace.trace import Trace

PANELS = ("stream", "norm", "units", "activations")


def show(trace: Trace) -> None:
    """Stack, token and panel; then the panel."""
    from model.residual import stream as residual_stream
    from viz.ui.block import activations, neurons, norm
    from viz.ui.block import residual_stream as block_stream

    stacks = residual_stream.stacks(trace)
    if not stacks:
        st.info(say("block.none"), icon=":material/info:")
        return
    chosen = _pickers(trace, stacks)
    panel = parts("block", say("block.panel"), PANELS, "stream", lambda p: say(f"block.{p}"))
    count = len(chosen.texts)
    if chosen.cut.stop - chosen.cut.start < count:
        st.caption(say("block.window", first=chosen.cut.start, last=chosen.cut.stop - 1, n=f"{count:,}"))
    pages = {"stream": block_stream, "norm": norm, "units": neurons, "activations": activations}
    try:
        pages[panel].show(chosen)
    except Stopped:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(say("block.stopped"), width="content")
            st.button(say("block.again"), key="block-again", type="tertiary")
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")


def _pickers(trace: Trace, stacks: tuple[str, ...]) -> BlockSelection:
    """The selection's own stack and query: another choice is another selection, on every page."""
    from model.steps.step import window

    site, *_ = view.selected()
    stack = site.query_side if site.query_side in stacks else stacks[0]
    labels = tokens.places(trace, stack)
    row = min(view.selected_token(stack) or 0, len(labels) - 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pickers"):
        if len(stacks) > 1:
            key = mirror("block-stack", stack)
            st.segmented_control(
                say("block.stack"), stacks, format_func=language.stack, key=key, required=True,
                on_change=lambda: go(trace, st.session_state[key], site.layer),
            )  # fmt: skip
        place = listed("block-token", row, labels)
        st.selectbox(
            say("block.token"), range(len(labels)), format_func=labels.__getitem__, key=place, width=256,
            on_change=lambda: view.change(row=st.session_state[place]),
        )  # fmt: skip
    return BlockSelection(trace, stack, row, window(len(labels), row))
