"""What a head says of two texts: whether one follows the other, and which of several choices fits a question best."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui.language import say
from viz.ui.output.tables import table
from viz.ui.shared import page_text
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.trace.trace import Trace


def sentence_pairs(trace: Trace) -> None:
    """Whether the second text goes on from the first, or whether the two stand in their order."""
    for how, probabilities in trace.facts["sentence_pairs"].items():
        page_text.heading("output.follows" if how == "next" else "output.order")
        names = [say(f"output.{how}_{i}") for i in range(len(probabilities))]
        table({say("output.class"): names}, probabilities)
        if not any(any(side.segments) for side in trace.sides.values()):
            st.caption(say("output.one_text"))


def choices(trace: Trace) -> None:
    """Each choice with its score, and the softmax over the choices that were given."""
    found = trace.facts["choices"]
    page_text.heading("output.choices")
    texts = [text or "∅" for text, *_ in found]
    scores = [score for _, score, _ in found]
    columns = {say("output.choice"): texts, say("output.score"): [numbers.short(score, 4) for score in scores]}
    if len(found) == 1:
        st.dataframe(columns, hide_index=True, width=640)
        st.caption(say("output.choice_alone"))
        return
    st.markdown(say("output.choice_best", choice=page_text.code(texts[scores.index(max(scores))])))
    table(columns, [p for *_, p in found], width=760)
    st.caption(say("output.choices_how"))
    if not model_list.is_trace(view.current().model):
        _look(texts)


def _look(texts: list[str]) -> None:
    """Which choice's run the pages show: the one that is chosen becomes the first of the list."""
    key = f"choice-{zlib.crc32(chr(0).join(texts).encode('utf-8', 'surrogatepass')):08x}"

    def first() -> None:
        at = int(st.session_state[key])
        view.change(pair="\n".join([texts[at], *texts[:at], *texts[at + 1 :]]))

    st.selectbox(
        say("output.choice_look"), range(len(texts)), format_func=texts.__getitem__, key=key, on_change=first, width=420
    )
