"""The answer that a model finds in a text: the likeliest spans, the best one marked, and where each may start and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from viz.base import export, numbers, tokens
from viz.text import text as text_view
from viz.text.marked import marked_text
from viz.ui.language import say
from viz.ui.output.tables import table
from viz.ui.shared import figure_footer, page_text
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.trace.trace import Trace

_HEIGHT = 420


def show(trace: Trace) -> None:
    """The panels of a run whose head looks for an answer."""
    from model.checkpoints.task_heads import spans

    told = trace.facts["answers"]
    page_text.heading("output.answer")
    if not told["pair"]:
        st.caption(say("output.answer_alone"))
    found = told["spans"]
    if not found:
        st.info(say("output.answer_none_fits", n=told["longest"]), icon=":material/info:")
    _text(trace, found)
    names = [span["text"] or "∅" for span in found]
    places = [f"{span['start']} – {span['end']}" for span in found]
    columns = {say("output.answer_span"): names, say("output.answer_tokens"): places}
    table(columns, [span["probability"] for span in found], width=760)
    formula = r"p(\text{end}\mid\text{start})" if told["beam"] else r"p(\text{end})"
    st.latex(rf"p(\text{{span}}) = p(\text{{start}}) \cdot {formula}")
    said = [say("output.answer_beam" if told["beam"] else "output.answer_how", n=told["longest"])]
    if told["none"] is not None:
        said.append(
            say("output.answer_classifier" if told["beam"] else "output.answer_cls", p=numbers.short(told["none"]))
        )
    fidelity = trace.fidelity()
    badge = figure_footer.verdict(fidelity.logits_error, fidelity.logits_hold)
    slug = f"{figure_footer.safe(trace.key.model)}-answers"
    saved = pd.DataFrame(found, columns=["start", "end", "probability", "text"])
    code = (spans.beam_spans,) if told["beam"] else (spans.probabilities, spans.best_spans)
    figure_footer.draw("output-answers", " ".join(said), badge, lambda: {
        f"{slug}.csv": lambda: export.table_csv(saved)}, code=code)  # fmt: skip
    if not told["beam"]:
        _ends(trace, badge)


def _text(trace: Trace, found: list[dict[str, Any]]) -> None:
    """What was read, with the best span on a coloured ground; a question before it is grey."""
    side = trace.side(next(iter(trace.sides)))
    marked = range(found[0]["start"], found[0]["end"] + 1) if found else range(0)
    question = range(side.segments.index(1) if any(side.segments) else 0)
    st.html(marked_text(text_view.flow(side), marked, question, theme()))


def _ends(trace: Trace, badge: str) -> None:
    """The probability of a start and of an end at every token."""
    from model.checkpoints.task_heads import spans

    page_text.heading("output.ends")
    name = next(iter(trace.sides))
    first, last = spans.probabilities(trace.store["start_logits"], trace.store["end_logits"])
    texts = [item["text"] for item in tokens.labels(trace, name)]
    bar = st.column_config.ProgressColumn(format="%.4f", min_value=0.0, max_value=1.0)
    columns = {
        say("output.place"): range(len(texts)), say("card.token"): texts,
        say("output.start"): first.tolist(), say("output.end"): last.tolist(),
    }  # fmt: skip
    height = _HEIGHT if len(texts) > 11 else "content"
    config = {say("output.start"): bar, say("output.end"): bar, say("output.place"): st.column_config.Column(width=70)}
    st.dataframe(columns, column_config=config, hide_index=True, width=760, height=height)
    saved = pd.DataFrame({"position": range(len(texts)), "token": list(trace.side(name).texts),
                          "start": first.numpy(), "end": last.numpy()})  # fmt: skip
    slug = f"{figure_footer.safe(trace.key.model)}-start-end"
    figure_footer.draw("output-ends", say("output.ends_how"), badge, lambda: {
        f"{slug}.csv": lambda: export.table_csv(saved)}, code=(spans.probabilities,))  # fmt: skip
