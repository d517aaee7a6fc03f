"""The page of what the model makes of its input: the next token, a filled gap, continuations, a vector, a training step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz import numbers, tokens
from viz.ui import language, panels, runs, session, work
from viz.ui.language import say

if TYPE_CHECKING:
    from model.trace import Trace

_TOP = 10


def show(trace: Trace) -> None:
    """The panels that suit what the model was built for."""
    task = str(trace.facts.get("task", "seq2seq"))
    if trace.facts.get("classes"):
        _classes(trace)
    if trace.facts.get("captions"):
        _captions(trace)
    if task in ("causal", "seq2seq") and "decoder" in trace.sides:
        _written(trace)
    if trace.predicts:
        _next(trace, gap=task == "masked")
    elif task == "embedding" and not trace.facts.get("reads"):
        _vector(trace)
    if task in ("causal", "seq2seq") and runs.is_library(trace) and not trace.facts.get("reads"):
        model = session.current_model()
        if model is not None:
            _continuations(model)
            _training(model)


def _heading(key: str) -> None:
    st.markdown(f"#### {say(f'output.{key}')}  \n{say(f'output.{key}_what')}")


def _written(trace: Trace) -> None:
    """The text that came out, as chips would be too many for a long one."""
    side = trace.side("decoder")
    start = int(trace.facts.get("prompt", 0)) if "encoder" not in trace.sides else 1
    written = [text for text, special in zip(side.texts[start:], side.special[start:], strict=True) if not special]
    if written and trace.facts.get("generated", False):
        _heading("written")
        st.markdown(panels.code("".join(written) if runs.is_library(trace) else " ".join(written)))


def _table(names: list[str], ids: list[int] | None, probabilities: list[float], what: str) -> None:
    """Names with their probabilities as bars and as numbers."""
    columns: dict[str, Any] = {what: names}
    if ids is not None:
        columns[say("card.id")] = ids
    columns[say("steps.probability")] = probabilities
    columns[say("steps.exact")] = [numbers.short(p, 4) for p in probabilities]
    bar = st.column_config.ProgressColumn(format=" ", min_value=0.0, max_value=1.0)
    st.dataframe(columns, column_config={say("steps.probability"): bar}, hide_index=True, width=640)


def _next(trace: Trace, gap: bool) -> None:
    """The likeliest tokens after a position that can be chosen (or at it, where the model fills gaps)."""
    side = "decoder" if "decoder" in trace.sides else "encoder"
    labels = [f"{i}: {item['text']}" for i, item in enumerate(tokens.labels(trace, side))]
    gaps = trace.facts.get("gaps") or ()
    selected = session.view().row if session.view().site.startswith(side) else len(labels) - 1
    at = gaps[0] if gaps else len(labels) - 1 if not gap else min(selected, len(labels) - 1)
    _heading("gap" if gap else "next")
    key = f"output-at-{language.current()}-{hash((trace.key, at))}"
    at = st.selectbox(
        say("output.at"), range(len(labels)), index=at, format_func=labels.__getitem__, key=key, width=320
    )
    best = trace.next_tokens(at, _TOP)
    _table(
        [tokens.readable(t) for t, _, _ in best], [i for _, i, _ in best], [p for _, _, p in best], say("card.token")
    )
    st.caption(say("output.rest", p=numbers.short(max(0.0, 1 - sum(p for _, _, p in best)))))


def _classes(trace: Trace) -> None:
    _heading("classes")
    found = trace.facts["classes"]
    _table([name for name, _ in found], None, [p for _, p in found], say("output.class"))


def _captions(trace: Trace) -> None:
    _heading("captions")
    found = trace.facts["captions"]
    _table([c["text"] for c in found], None, [c["probability"] for c in found], say("output.caption"))


def _vector(trace: Trace) -> None:
    """The sentence's vector, and how near another sentence's is."""
    from model.checkpoints.outputs import sentence_vector

    _heading("vector")
    other = st.text_input(say("output.other"), key="output-other", value=_other_example())
    if not other.strip():
        return
    now = session.view()
    try:
        first = runs.trace_of(replace(now, pair="")) if now.pair else trace  # one text a vector
        second = runs.trace_of(replace(now, text=other, pair=""))
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return
    one, two = sentence_vector(first), sentence_vector(second)
    st.metric(say("output.cosine"), numbers.short(float(one @ two)), help=say("output.cosine_help", d=one.shape[0]))
    st.latex(
        r"\cos = \frac{\bar x \cdot \bar y}{\lVert \bar x \rVert\,\lVert \bar y \rVert},\quad \bar x = \frac1n \sum_i x_i"
    )


def _other_example() -> str:
    from viz.ui import models

    now = session.view()
    return next((text for text in models.card(now.model)["examples"] if text != now.text), "")


def _continuations(model: Any) -> None:
    """Several drawn sequences; any of them can be looked at."""
    from model.checkpoints import outputs

    _heading("continuations")
    now = session.view()
    columns = st.columns(5, vertical_alignment="bottom")
    count = columns[0].number_input(say("output.count"), 1, 10, 3, key="sample-count")
    temperature = columns[1].number_input(say("output.temperature"), 0.1, 5.0, 1.0, 0.1, key="sample-temperature")
    top_k = columns[2].number_input("top-k", 0, 1000, 50, key="sample-k", help=say("output.top_k"))
    top_p = columns[3].number_input("top-p", 0.05, 1.0, 1.0, 0.05, key="sample-p", help=say("output.top_p"))
    seed = columns[4].number_input(say("output.seed"), 0, 10_000, 0, key="sample-seed")
    how = {
        "count": int(count),
        "temperature": float(temperature),
        "top_k": int(top_k),
        "top_p": float(top_p),
        "seed": int(seed),
    }
    asked = (now.model, now.text, *how.values())
    if st.button(say("output.draw"), key="sample-draw", type="primary"):
        st.session_state.sampled = _work(("sample", *asked), lambda: outputs.sample(model, now.text, **how))
        st.session_state.sampled_for = asked
    if st.session_state.get("sampled_for") == asked and st.session_state.get("sampled"):
        for i, found in enumerate(st.session_state.sampled):
            _continuation(i, found, model.task == "causal")


def _continuation(i: int, found: Any, whole: bool) -> None:
    left, right = st.columns([7, 1], vertical_alignment="center")
    said = language.plain(found.added.strip("\n")).replace("\n", " ⏎ ")
    facts = say("output.logp", p=numbers.short(found.log_probability, 4), n=found.tokens)
    left.markdown(f"{i + 1}. {said}")
    left.caption(facts)
    change = {"text": found.text} if whole else {"target": found.text}
    right.button(say("output.look"), key=f"sample-look-{i}", on_click=session.change, kwargs=change)


def _training(model: Any) -> None:
    """One step of training on this pair, on a copy."""
    from model.checkpoints import outputs

    _heading("training")
    now = session.view()
    left, middle, right = st.columns([5, 2, 1], vertical_alignment="bottom")
    target = left.text_input(say("output.labels"), key="train-target", placeholder=say("output.labels_example"))
    rate = middle.select_slider(say("output.rate"), [1e-5, 3e-5, 1e-4, 3e-4, 1e-3], 1e-4, key="train-rate",
                                format_func=lambda r: f"{r:.0e}")  # fmt: skip
    asked = (now.model, now.text, target, rate)
    if right.button(say("output.step"), key="train-step"):

        def step() -> Any:
            return outputs.training_step(model, now.text, target, learning_rate=rate)

        st.session_state.trained = _work(("train", *asked), step)
        st.session_state.trained_for = asked
    found = st.session_state.get("trained") if st.session_state.get("trained_for") == asked else None
    if found is not None:
        columns = st.columns(3)
        columns[0].metric(say("output.loss_before"), numbers.short(found.loss_before, 5))
        columns[1].metric(say("output.loss_after"), numbers.short(found.loss_after, 5),
                          delta=numbers.short(found.loss_after - found.loss_before), delta_color="inverse")  # fmt: skip
        columns[2].metric("‖∇‖", numbers.short(found.gradient_norm, 4))
        labels = " ".join(panels.code(tokens.readable(label)) for label in found.labels)
        st.caption(f"{say('output.scored', n=len(found.labels))} {labels}")


def _work(key: tuple[Any, ...], job: Any) -> Any:
    """Run it with a bar and Stop; what goes wrong is one sentence and no result."""
    try:
        return work.run(key, job, say(f"wait.{key[0]}"), pressed=True)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None
