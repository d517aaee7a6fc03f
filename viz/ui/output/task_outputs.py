"""What a model names: the classes of an input, a label or a "replaced?" a token, the text that fits a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import numbers, tokens
from viz.ui.language import say
from viz.ui.output import answers, two_texts
from viz.ui.output.tables import WIDTH, foot, table
from viz.ui.shared import page_text

if TYPE_CHECKING:
    from model.trace.trace import Trace

_MOST = 4  # tokens that a sentence names
_NAMELESS = "LABEL_0"  # what the library calls a head's only number where nobody named it


def show(trace: Trace) -> None:
    """The panels of whatever this run names."""
    if trace.facts.get("answers"):
        answers.show(trace)
    if trace.facts.get("classes"):
        _classes(trace)
    if trace.facts.get("labels"):
        _tags(trace)
    if trace.facts.get("replaced"):
        _replaced(trace)
    if trace.facts.get("captions"):
        _captions(trace)
    if not trace.predicts:
        of_texts(trace)


def of_texts(trace: Trace) -> None:
    """What a head says of the whole of one text or two, which may stand beside the probabilities of tokens."""
    if trace.facts.get("sentence_pairs"):
        two_texts.sentence_pairs(trace)
    if trace.facts.get("choices"):
        two_texts.choices(trace)
    if trace.facts.get("read_at"):
        _read_at(trace)


def _read_at(trace: Trace) -> None:
    """Which token's row of the last layer the head read, as its gradient tells."""
    stack, rows = trace.facts["read_at"]
    texts = [item["text"] for item in tokens.labels(trace, stack)]
    if rows:
        named = [f"{page_text.code(texts[i])} ({i})" for i in rows[:_MOST]] + ["…"] * (len(rows) > _MOST)
        st.caption(say("output.read_at", tokens=" ".join(named)))
    else:
        st.caption(say("output.read_all", n=len(texts)))


def one_score(trace: Trace) -> bool:
    """Whether all that it gives is one number for the whole input."""
    return len(trace.facts.get("classes", ())) == 1 and trace.facts.get("classes_how") != "softmax"


def of_two_texts(trace: Trace) -> bool:
    """Whether it chooses among the choices given, or tells whether two texts belong together, and does nothing else."""
    return not trace.predicts and bool(trace.facts.get("choices") or trace.facts.get("sentence_pairs"))


def independent_outputs(trace: Trace) -> bool:
    """Whether its numbers stand each by itself, and do not sum to 1."""
    hows = {trace.facts.get("classes_how"), trace.facts.get("captions_how")}
    return bool(hows & {"sigmoid", "scores"}) or bool(trace.facts.get("replaced"))


def _classes(trace: Trace) -> None:
    """Probabilities of one class among others, of each label by itself, or the scores of a regression."""
    from model.checkpoints.task_heads import outputs

    found, how = trace.facts["classes"], trace.facts.get("classes_how", "softmax")
    names, values = [name for name, _ in found], [value for _, value in found]
    page_text.heading("output.one_score" if one_score(trace) else "output.classes")
    columns = {} if names == [_NAMELESS] else {say("output.class"): names}
    saved = {"class": names, "score" if how == "scores" else "probability": values}
    if how == "scores":
        columns[say("output.score")] = [numbers.short(score, 4) for score in values]
        st.dataframe(columns, hide_index=True, width=WIDTH)
        foot(trace, "classes", say("output.scores"), saved, (outputs.facts,))
        return
    said = say("output.singly") if how == "sigmoid" else ""
    if one_score(trace):  # of a pair, a cross-encoder's
        columns[say("output.score")] = [numbers.short(score, 4) for score in trace.facts["scores"]]
        saved["score"], said = trace.facts["scores"], say("output.score_sigmoid")
    table(columns, values)
    foot(trace, "classes", said, saved, (outputs.facts,))


def _tags(trace: Trace) -> None:
    """The likeliest label of each token; of a sound the likeliest character of each frame, and what they spell."""
    from model.checkpoints.task_heads import outputs

    found, spelt = trace.facts["labels"], trace.facts.get("spelt")
    page_text.heading("output.tags" if spelt is None else "output.frames")
    if spelt:
        st.markdown(page_text.code(spelt))
    names, values = [name for name, _ in found], [p for _, p in found]
    table(_places(trace) | {say("output.tag"): names}, values)
    foot(trace, "labels", "", _saved_places(trace) | {"label": names, "probability": values}, (outputs.facts,))


def _replaced(trace: Trace) -> None:
    """The probability of each token that another stood in its place."""
    from model.checkpoints.task_heads import outputs

    page_text.heading("output.replaced")
    values = list(trace.facts["replaced"])
    table(_places(trace), values)
    foot(trace, "replaced", "", _saved_places(trace) | {"probability": values}, (outputs.facts,))


def _places(trace: Trace) -> dict[str, Any]:
    side = next(iter(trace.sides))
    texts = [item["text"] for item in tokens.labels(trace, side)]
    return {say("output.place"): list(range(len(texts))), say("card.token"): texts}


def _saved_places(trace: Trace) -> dict[str, Any]:
    texts = trace.side(next(iter(trace.sides))).texts
    return {"position": range(len(texts)), "token": list(texts)}


def _captions(trace: Trace) -> None:
    from model.checkpoints.media import pictures

    if trace.facts.get("captions_how") == "sigmoid":
        page_text.heading("output.captions", "output.captions_singly")
    else:
        page_text.heading("output.captions")
    found = trace.facts["captions"]
    names, values = [caption["text"] for caption in found], [caption["probability"] for caption in found]
    table({say("output.caption"): names}, values)
    saved = {"text": names, "cosine": [caption["similarity"] for caption in found], "probability": values}
    foot(trace, "captions", "", saved, (pictures.trace_picture,))
