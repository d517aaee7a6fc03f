"""What a model names: the classes of an input, a label or a "replaced?" a token, the text that fits a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import numbers, tokens
from viz.ui.language import say
from viz.ui.shared import page_text

if TYPE_CHECKING:
    from model.trace.trace import Trace


def show(trace: Trace) -> None:
    """The panels of whatever this run names."""
    if trace.facts.get("classes"):
        _classes(trace)
    if trace.facts.get("labels"):
        _tags(trace)
    if trace.facts.get("replaced"):
        _replaced(trace)
    if trace.facts.get("captions"):
        _captions(trace)


def independent_outputs(trace: Trace) -> bool:
    """Whether its numbers stand each by itself, and do not sum to 1."""
    hows = {trace.facts.get("classes_how"), trace.facts.get("captions_how")}
    return bool(hows & {"sigmoid", "scores"}) or bool(trace.facts.get("replaced"))


def table(columns: dict[str, Any], probabilities: list[float]) -> None:
    """Columns, and beside them probabilities as bars and as numbers."""
    bar = st.column_config.ProgressColumn(format=" ", min_value=0.0, max_value=1.0)
    shown = {say("steps.probability"): probabilities, say("steps.exact"): [numbers.short(p, 4) for p in probabilities]}
    st.dataframe(columns | shown, column_config={say("steps.probability"): bar}, hide_index=True, width=640)


def _classes(trace: Trace) -> None:
    """Probabilities of one class among others, of each label by itself, or the scores of a regression."""
    page_text.heading("output.classes")
    found, how = trace.facts["classes"], trace.facts.get("classes_how", "softmax")
    columns = {say("output.class"): [name for name, _ in found]}
    if how == "scores":
        columns[say("output.score")] = [numbers.short(score, 4) for _, score in found]
        st.dataframe(columns, hide_index=True, width=640)
        st.caption(say("output.scores"))
        return
    table(columns, [p for _, p in found])
    if how == "sigmoid":
        st.caption(say("output.singly"))


def _tags(trace: Trace) -> None:
    """The likeliest label of each token; of a sound the likeliest character of each frame, and what they spell."""
    found, spelt = trace.facts["labels"], trace.facts.get("spelt")
    page_text.heading("output.tags" if spelt is None else "output.frames")
    if spelt:
        st.markdown(page_text.code(spelt))
    table(_places(trace) | {say("output.tag"): [name for name, _ in found]}, [p for _, p in found])


def _replaced(trace: Trace) -> None:
    """The probability of each token that another stood in its place."""
    page_text.heading("output.replaced")
    table(_places(trace), list(trace.facts["replaced"]))


def _places(trace: Trace) -> dict[str, Any]:
    side = next(iter(trace.sides))
    texts = [item["text"] for item in tokens.labels(trace, side)]
    return {say("output.at"): list(range(len(texts))), say("card.token"): texts}


def _captions(trace: Trace) -> None:
    if trace.facts.get("captions_how") == "sigmoid":
        page_text.heading("output.captions", "output.captions_singly")
    else:
        page_text.heading("output.captions")
    found = trace.facts["captions"]
    table({say("output.caption"): [c["text"] for c in found]}, [c["probability"] for c in found])
