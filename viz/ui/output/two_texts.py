"""What a head says of two texts: whether one follows the other, and which of several choices fits a question best."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui.language import say
from viz.ui.output.tables import WIDTH, foot, table
from viz.ui.shared import page_text
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.trace.trace import Trace


def sentence_pairs(trace: Trace) -> None:
    """Whether the second text goes on from the first, or whether the two stand in their order."""
    from model.checkpoints.task_heads import outputs

    for how, probabilities in trace.facts["sentence_pairs"].items():
        page_text.heading("output.follows" if how == "next" else "output.order")
        names = [say(f"output.{how}_{i}") for i in range(len(probabilities))]
        table({say("output.class"): names}, probabilities)
        alone = not any(any(side.segments) for side in trace.sides.values())
        said = say("output.one_text") if alone else ""
        foot(trace, f"pair-{how}", said, {"class": names, "probability": probabilities}, (outputs.facts,))


def choices(trace: Trace) -> None:
    """Each choice with its score, and the softmax over the choices that were given."""
    from model.checkpoints.library import head_runs

    found = trace.facts["choices"]
    page_text.heading("output.choices")
    texts = [text or "∅" for text, *_ in found]
    scores = [score for _, score, _ in found]
    columns = {say("output.choice"): texts, say("output.score"): [numbers.short(score, 4) for score in scores]}
    saved = {"choice": [text for text, *_ in found], "score": scores, "probability": [p for *_, p in found]}
    if len(found) == 1:
        st.dataframe(columns, hide_index=True, width=WIDTH)
        foot(trace, "choices", say("output.choice_alone"), saved, (head_runs.head_facts,))
        return
    best = [page_text.code(text) for text, score in zip(texts, scores, strict=True) if score == max(scores)]
    if len(best) == 1:
        st.markdown(say("output.choice_best", choice=best[0]))
    else:
        st.markdown(say("output.choice_tied", choices=say("error.comma").join(best)))
    table(columns, [p for *_, p in found], width=760)
    foot(trace, "choices", say("output.choices_how"), saved, (head_runs.head_facts,))
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
