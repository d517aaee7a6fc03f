"""Sampling: what temperature, top-k and top-p do to the distribution of one step, and texts drawn with a seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import language
from viz.ui.generation.common import WIDTH, chips, job, joined, needs_model, number, reads
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import jobs, model_list, page_controls, view

if TYPE_CHECKING:
    from model.generation.decoder import Decoder
    from model.generation.sampling import Drawn, SamplingOptions, SamplingStage
    from model.trace.trace import Trace

_TOP = 20
_SURE = 0.9  # where the likeliest token has more at every step, a temperature near 1 changes little
_WRITES_ON = "small-gpt2"  # a shipped model whose next token is open
# What is compared: the stage before and the stage after.
PAIRS = {"all": (0, 3), "temperature": (0, 1), "top_k": (1, 2), "top_p": (2, 3)}


def show(trace: Trace, model: Any, decoder: Decoder | None, controls: Any) -> None:
    """Controls, the distribution of a step before and after each of the three, and drawn texts."""
    from model.generation import decoder as decoding
    from model.generation import sampling

    with controls:
        row = _step(trace)
        how = sampling.SamplingOptions(
            _decimal("temperature", 0.1, 5.0, 0.8, 0.1),
            number("top_k", 0, 100, 10),
            _decimal("top_p", 0.05, 1.0, 0.9, 0.05),
        )
    texts = [item["text"] for item in tokens.labels(trace, "decoder")]
    chips(texts[: row + 1])
    _say_how_sure(trace, row)
    logits = decoding.row_logits(trace, row, decoder)
    if logits is None:
        needs_model()
        return
    _distribution(trace, sampling.stages(logits, how), how)
    if decoder is None:
        needs_model()
    else:
        _drawing(trace, model, decoder, how)


def _sure(trace: Trace) -> list[float]:
    """The probability of the likeliest token of every step; 1 where it is no number."""
    from model.generation import decoder as decoding

    found = [trace.next_tokens(row, 1)[0][2] for row in decoding.rows(trace)]
    return [1.0 if math.isnan(p) else p for p in found]


def _step(trace: Trace) -> int:
    """The decoder row of the chosen step; it begins with the least certain one, where a lot has the most to decide."""
    from model.generation import decoder as decoding

    shown, sure = decoding.rows(trace), _sure(trace)
    first = sure.index(min(sure)) + 1
    return shown[number("step", 1, len(shown), first, f"-drawn@{trace.key.model}") - 1]


def _say_how_sure(trace: Trace, row: int) -> None:
    """Where the text is least certain; where it is certain everywhere, that and a model that is less so."""
    from model.generation import decoder as decoding

    sure = _sure(trace)
    least = min(sure)
    step = sure.index(least) + 1
    values = {"step": step, "p": numbers.short(least, 4)}
    if least <= _SURE:
        if row == decoding.rows(trace)[step - 1]:
            st.caption(say("generation.least_sure", **values))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="generation-sure"):
        st.caption(say("generation.sure", **values), width="content")
        if _WRITES_ON in model_list.found() and trace.key.model != _WRITES_ON:
            title = language.plain(model_list.title(_WRITES_ON))
            st.button(
                say("generation.less_sure", model=title), key="generation-less-sure", type="tertiary", on_click=_open
            )


def _open() -> None:
    view.change(model=_WRITES_ON, tab=view.current().tab)


def _decimal(name: str, low: float, high: float, first: float, step: float) -> float:
    how = page_controls.between(f"generation-{name}", first, low, high) | {"help": say(f"generation.{name}_help")}
    return float(st.slider(say(f"generation.{name}"), low, high, step=step, width=WIDTH, **how))


def _distribution(trace: Trace, stages: list[SamplingStage], how: SamplingOptions) -> None:
    from model.generation import sampling
    from model.trace.rounding import allowed
    from model.transformer.attention import entropy
    from viz.generation import cost_charts

    page_text.heading("generation.cut_name")
    likeliest = float(stages[0].probabilities.max())
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        pair = st.segmented_control(
            say("generation.compare"), list(PAIRS), format_func=lambda name: say(f"generation.pair_{name}"),
            required=True, width="content", **page_controls.among("generation-pair", "all", list(PAIRS)),
        ) or "all"  # fmt: skip
        logarithmic = st.toggle(say("generation.log"), **page_controls.switch("generation-log", likeliest > 0.9))
    first, second = (stages[i].probabilities for i in PAIRS[pair])
    top = stages[0].probabilities.topk(min(_TOP, len(first))).indices
    read = reads(trace)
    names = [read(int(i)) for i in top]
    before, after = first[top].numpy(), second[top].numpy()
    # Added up themselves: 1 minus the others would leave 10⁻¹⁶ of what was cut.
    others = [float(values.scatter(0, top, 0.0).sum()) for values in (first, second)]
    rest = (say("generation.rest", n=len(first) - len(top)), *others)
    words = {name: say(f"generation.{name}") for name in ("before", "after")}
    words |= {"probability": say("steps.probability"), "alt": say("generation.cut_what")}
    chart = cost_charts.cut_bars(names, before, after, rest, words, logarithmic)
    with st.container(key="figures"):
        left, right = st.columns([5, 4], gap="large")
    left.altair_chart(chart)
    with right:
        st.latex(r"p_i = \frac{e^{z_i/T}}{\sum_j e^{z_j/T}},\qquad H = -\sum_i p_i \log p_i")
        _table(stages)
        last = stages[-1]
        st.caption(say("generation.cut_said", kept=f"{last.remaining:,}", all=f"{len(first):,}", mass=numbers.short(
            float(stages[0].probabilities[last.probabilities > 0].sum()), 4)))  # fmt: skip

    def arrays() -> bytes:
        return export.npz(
            tokens=list(trace.vocabulary), **{stage.name: stage.probabilities.numpy() for stage in stages}
        )

    def csv() -> bytes:
        values = np.stack([stage.probabilities[top].numpy() for stage in stages], axis=1)
        return export.matrix_csv(values, names, [stage.name for stage in stages])

    slug = f"{figure_footer.safe(trace.key.model)}-sampling"
    total = sum(float(stage.probabilities.sum()) for stage in stages) / len(stages)
    badge = figure_footer.fidelity_badge(abs(1 - total), allowed(1.0, len(first)), trace)
    figure_footer.draw("generation-sampling", say("generation.cut_sentence"), badge,
              lambda: {f"{slug}.csv": csv, f"{slug}.npz": arrays}, lambda: chart,
              [sampling.stages, sampling.temperature, sampling.top_k, sampling.top_p, entropy])  # fmt: skip


def _table(stages: list[SamplingStage]) -> None:
    """Tokens, mass and entropy after each step."""
    st.dataframe({
        say("generation.after_stage"): [say(f"generation.stage_{stage.name}") for stage in stages],
        say("generation.kept"): [f"{stage.remaining:,}" for stage in stages],
        say("generation.mass"): [numbers.short(stage.mass, 4) for stage in stages],
        say("generation.nats"): [numbers.short(stage.entropy, 4) for stage in stages],
        say("generation.bits"): [numbers.short(stage.entropy / math.log(2), 4) for stage in stages],
    }, hide_index=True, width="stretch")  # fmt: skip


def _drawing(trace: Trace, model: Any, decoder: Decoder, how: SamplingOptions) -> None:
    """Several texts; the same seed draws the same."""
    from model.checkpoints.library import generate
    from model.generation import sampling

    page_text.heading("generation.draw_name")
    ours = model_list.is_ours(view.model_of(trace))
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        count = number("count", 1, 5, 3)
        longest = number("draw_longest", 1, min(40, decoder.longest - len(decoder.start)), 20)
        seed = int(
            st.number_input(
                say("output.seed"), 0, 10_000, width=120, **page_controls.between("generation-seed", 0, 0, 10_000)
            )
        )
        pressed = st.button(say("output.draw"), key="generation-draw", type="primary")
    asked = (trace.key, how, count, longest, seed)
    if not pressed and not jobs.has_result("generation", "draw", asked):
        st.caption(say("generation.draw_first"))
        return
    if ours:
        do: Callable[[], list[Drawn]] = lambda: sampling.draw(decoder, count, longest, how, seed)  # noqa: E731
    else:
        written = trace.language or None
        do = lambda: generate.sample(model, trace, count, longest, how, seed, written)  # noqa: E731
    found = job("draw", asked, do)
    _drawn(trace, found, ours)


def _drawn(trace: Trace, found: list[Drawn], ours: bool) -> None:
    from model.checkpoints.library import generate
    from model.generation import sampling

    read = reads(trace)
    texts = [joined(trace, [read(number) for number in each.tokens]) for each in found]
    sums = [(sum(each.log_p), sum(each.log_p_cut)) for each in found]
    st.dataframe({
        say("generation.text"): texts,
        say("generation.length"): [len(each.tokens) for each in found],
        say("generation.logp_model"): [numbers.short(model, 4) for model, _ in sums],
        say("generation.logp_cut"): [numbers.short(cut, 4) for _, cut in sums],
        say("generation.ended"): [say("generation.yes" if each.ended else "generation.no") for each in found],
    }, hide_index=True, width="stretch")  # fmt: skip

    def csv() -> bytes:
        every = [(i, t, each) for i, each in enumerate(found) for t in range(len(each.tokens))]
        values = np.array([[i, t + 1, each.log_p[t], each.log_p_cut[t]] for i, t, each in every])
        rows = [read(each.tokens[t]) for _, t, each in every]
        return export.matrix_csv(values, rows, ["text", "step", "log_p_model", "log_p_cut"])

    sentence = say("generation.draw_sentence_ours" if ours else "generation.draw_sentence_library")
    figure_footer.draw("generation-draw", sentence, figure_footer.run_badge(trace),
              lambda: {f"{figure_footer.safe(trace.key.model)}-drawn.csv": csv},
              code=[sampling.draw if ours else generate.sample, sampling.warp])  # fmt: skip
