"""The page of what the model makes of its input: the next token, a filled gap, continuations, a vector, a training step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from model.errors import HeadlightError
from viz.base import export, numbers
from viz.ui import language, navigation
from viz.ui.language import say
from viz.ui.output import next_token, task_outputs, training
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.widgets import keep, mirror
from viz.ui.state import current_run, model_list, page_controls, view

if TYPE_CHECKING:
    from model.trace.trace import Trace

_POOLED = {
    "mean": r"\frac1n \sum_i x_i", "cls": "x_1", "last": "x_n", "max": r"\left(\max_i x_{ij}\right)_j",
}  # fmt: skip


def show(trace: Trace) -> None:
    """The panels that suit what the model was built for."""
    task = str(trace.facts.get("task", "seq2seq"))
    task_outputs.show(trace)
    if how := trace.facts.get("decoder_reads"):
        st.caption(say(f"note.decoder_{how}"))
    if task in ("causal", "seq2seq") and "decoder" in trace.sides:
        _written(trace)
    if trace.predicts:
        next_token.show(trace, gap=task == "masked")
        task_outputs.of_texts(trace)
    elif is_vector(trace):
        _vector(trace)
    elif model_list.reads_captions(view.current().model) and not trace.facts.get("captions"):
        st.info(say("output.captions_none"), icon=":material/info:")
    elif trace.facts.get("own_module"):
        st.info(say("output.none_module"), icon=":material/info:")
        navigation.link("heads", say("heads.name"))
    if task not in ("causal", "seq2seq") or trace.facts.get("reads"):
        return
    model, library = current_run.model(), current_run.is_library(trace)
    if model is not None and (library or task == "causal"):
        _continuations(model, trace)
    if model is not None and library:
        training.show(model, trace, _asked(trace))
    else:
        st.caption(say("output.training_none"))


def notes(trace: Trace) -> None:
    """The remarks that belong under what this run shows."""
    if trace.facts.get("own_module") and not trace.predicts:
        return  # nothing is shown
    if is_vector(trace) or trace.facts.get("answers"):
        page_text.notes("output.vectors" if is_vector(trace) else "output.answers")
    elif task_outputs.one_score(trace) or task_outputs.independent_outputs(trace):
        page_text.notes("output.one" if task_outputs.one_score(trace) else "output.alone")
    else:
        page_text.notes("output.pairs" if task_outputs.of_two_texts(trace) else "output")


def is_vector(trace: Trace) -> bool:
    """Whether what comes out is a vector of the text."""
    bare = trace.facts.get("task") == "embedding" or "head" in trace.facts
    return bare and not trace.predicts and not trace.facts.get("reads")


def _written(trace: Trace) -> None:
    """The text that came out, as chips would be too many for a long one."""
    side = trace.side("decoder")
    start = int(trace.facts.get("prompt", 0)) if "encoder" not in trace.sides else 1
    written = [text for text, special in zip(side.texts[start:], side.special[start:], strict=True) if not special]
    if written and trace.facts.get("generated", False):
        page_text.heading("output.written")
        st.markdown(page_text.code(trace.between.join(written)))


def _vector(trace: Trace) -> None:
    """The sentence's vector, and how near another sentence's is."""
    from model.checkpoints.library.outputs import sentence_vector
    from model.trace.rounding import allowed

    page_text.heading("output.vector")
    if not trace.facts.get("head"):  # else its name is said above
        st.caption(say("output.no_head"))
    if view.current().pair:
        st.caption(say("output.first_alone"))
    key = mirror("other", view.current().other or _other_example(), view.current().model)
    other = st.text_input(say("output.other"), key=key, on_change=keep, args=("other", key))
    if not other.strip():
        return
    now = view.current()
    try:
        first = current_run.trace_of(replace(now, pair="")) if now.pair else trace  # one text a vector
        second = current_run.trace_of(replace(now, text=other, pair=""))
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return
    one, two = sentence_vector(first), sentence_vector(second)
    st.metric(say("output.cosine"), numbers.short(float(one @ two)), help=say("output.cosine_help", d=one.shape[0]))
    how = str(first.facts.get("pooling", "mean"))
    st.latex(
        r"\cos = \frac{\bar x \cdot \bar y}{\lVert \bar x \rVert\,\lVert \bar y \rVert},\quad \bar x = " + _POOLED[how]
    )
    table = np.stack([one.double().numpy(), two.double().numpy()])
    names = [str(i) for i in range(table.shape[1])]
    slug = f"{figure_footer.safe(trace.key.model)}-vectors"
    length = max(abs(float(np.linalg.norm(row)) - 1) for row in table)
    badge = figure_footer.fidelity_badge(length, allowed(1.0, len(one), one.dtype), trace)
    figure_footer.draw("output-vector", f"{say(f'output.pool_{how}')} {say('output.unit')}", badge, lambda: {
        f"{slug}.csv": lambda: export.matrix_csv(table, [now.text, other], names)}, code=(sentence_vector,))  # fmt: skip


def _other_example() -> str:
    now = view.current()
    return next((text for text in model_list.card(now.model)["examples"] if text != now.text), "")


def _asked(trace: Trace) -> dict[str, Any]:
    """How this run read its text: what else is made of that text goes through the same template and languages."""
    options = dict(trace.key.options)
    return {name: options[name] for name in ("chat", "language", "source_language") if name in options}


def _continuations(model: Any, trace: Trace) -> None:
    """Several drawn sequences; any of them can be looked at."""
    from model.checkpoints import own_decoder
    from model.checkpoints.library import outputs

    page_text.heading("output.continuations")
    sample = outputs.sample if current_run.is_library(trace) else own_decoder.sample
    now, text = view.current(), trace.key.source
    columns = st.columns(5, vertical_alignment="bottom")
    count = columns[0].number_input(say("output.count"), 1, 10, **page_controls.between("sample-count", 3, 1, 10))
    temperature = columns[1].number_input(say("output.temperature"), 0.1, 5.0, step=0.1,
                                          **page_controls.between("sample-temperature", 1.0, 0.1, 5))  # fmt: skip
    top_k = columns[2].number_input(
        "top-k", 0, 1000, help=say("output.top_k"), **page_controls.between("sample-k", 50, 0, 1000)
    )
    top_p = columns[3].number_input("top-p", 0.05, 1.0, step=0.05, help=say("output.top_p"),
                                    **page_controls.between("sample-p", 1.0, 0.05, 1))  # fmt: skip
    seed = columns[4].number_input(say("output.seed"), 0, 10_000, **page_controls.between("sample-seed", 0, 0, 10_000))
    how = {
        "count": int(count),
        "temperature": float(temperature),
        "top_k": int(top_k),
        "top_p": float(top_p),
        "seed": int(seed),
    }
    how |= _asked(trace)
    asked = (now.model, text, *how.items())
    if st.button(say("output.draw"), key="sample-draw", type="primary"):
        st.session_state.sampled = training.work(("sample", *asked), lambda: sample(model, text, **how))
        st.session_state.sampled_for = asked
    if st.session_state.get("sampled_for") == asked and st.session_state.get("sampled"):
        for i, found in enumerate(st.session_state.sampled):
            _continuation(i, found, _look(found, model.task == "causal", text if "chat" in how else None))


def _look(found: Any, whole: bool, chat: str | None) -> dict[str, str]:
    """What of the view changes to a drawn sequence: of a chat it is one more turn, which is one line."""
    if chat is not None:
        return {"text": f"{chat.rstrip()}\n{' '.join(found.added.split())}"}
    return {"text" if whole else "target": found.text}


def _continuation(i: int, found: Any, change: dict[str, str]) -> None:
    left, right = st.columns([7, 1], vertical_alignment="center")
    said = language.plain(found.added.strip("\n")).replace("\n", " ⏎ ")
    facts = say("output.logp", p=numbers.short(found.log_probability, 4), n=found.tokens)
    left.markdown(f"{i + 1}. {said}")
    left.caption(facts)
    right.button(say("output.look"), key=f"sample-look-{i}", on_click=view.change, kwargs=change)
