"""Greedy, step by step: what each row of the recorded forward says of the step that wrote after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui.generation.common import attention_rows, chips, head_pickers, job, number, reads, show_rows
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import jobs, model_list, page_controls, view

if TYPE_CHECKING:
    from model.generation.decoder import Choice, Decoder, Difference
    from model.trace.trace import Trace

_TOP = 10


def show(trace: Trace, model: Any, decoder: Decoder | None, controls: Any) -> None:
    """A step on a slider: the tokens so far, the candidates, and where its row of attention looked."""
    from model.generation import decoder as decoding

    with controls:
        row = step_slider(trace)
    picked = decoding.choice(trace, row)
    texts = {side: [item["text"] for item in tokens.labels(trace, side)] for side in trace.sides}
    chips(texts["decoder"][: row + 1], tokens.readable(picked.token))
    with st.container(key="figures"):
        left, right = st.columns([1, 1], gap="large")
    with left:
        page_text.heading("generation.candidates_name")
        chart, table = _candidates(trace, row, picked)
        st.altair_chart(chart)
        st.caption(_said(picked))
    with right:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            layer, head = head_pickers(trace)
        found = attention_rows(trace.attention, layer, head, row, texts)
        show_rows(found, layer, head)
    _footer(trace, decoder, chart, table, found)


def step_slider(trace: Trace) -> int:
    """The decoder row of the chosen step; the selection goes along where it is in the decoder."""
    from model.generation import decoder as decoding

    shown = decoding.rows(trace)
    of, now = f"@{trace.key.model}", view.current()
    key = f"generation-step{of}"
    first = 1
    if _linked(trace) and now.row in shown:
        first = st.session_state[key] = now.row - shown[0] + 1
    return shown[number("step", 1, len(shown), first, of, on_change=_select, args=(trace, key, shown[0] - 1)) - 1]


def _linked(trace: Trace) -> bool:
    """Whether a step is a row of the app's selection: a decoder's continuation is longer than the run of other pages."""
    return "encoder" in trace.sides and view.current().site.startswith("decoder")


def _select(trace: Trace, key: str, before: int) -> None:
    page_controls.act()
    if _linked(trace):
        site, head, _, _ = view.selected()
        row = before + int(st.session_state[key])
        view.change(row=row, column=int(trace.row(site, head, row).argmax()))


def _candidates(trace: Trace, row: int, picked: Choice) -> tuple[Any, tuple[list[str], list[float]]]:
    from viz.generation import charts as generation_charts

    best = trace.next_tokens(row, _TOP)
    read = reads(trace)
    names, p = [read(i) for _, i, _ in best], [p for _, _, p in best]
    place = next((n for n, (_, i, _) in enumerate(best) if i == picked.id), None)
    if place is None and picked.probability is not None:  # a forced token, far down
        place = len(names)
        names, p = [*names, read(picked.id)], [*p, picked.probability]
    words = {"chosen": say("generation.chosen"), "other": say("generation.other"),
             "probability": say("steps.probability"), "alt": say("generation.candidates_what")}  # fmt: skip
    return generation_charts.candidates(names, p, place, words), (names, p)


def _said(picked: Choice) -> str:
    if picked.rank is None or picked.probability is None:
        return say("generation.rank_unknown")
    p = numbers.short(picked.probability, 4)
    return (
        say("generation.likeliest", p=p)
        if picked.rank == 0
        else say("generation.not_likeliest", p=p, rank=picked.rank + 1)
    )


def _footer(
    trace: Trace,
    decoder: Decoder | None,
    chart: Any,
    table: tuple[list[str], list[float]],
    attention_rows: dict[str, tuple[np.ndarray, Any]],
) -> None:
    from model.generation import decoder as decoding
    from model.trace import logits
    from viz.generation import charts as generation_charts

    rows = {kind: weights for kind, (weights, _) in attention_rows.items()}
    picks = [decoding.choice(trace, row) for row in decoding.rows(trace)]
    again = _again(trace, decoder)
    sentence, badge = say("generation.one_forward"), figure_footer.run_badge(trace)
    if again is not None:
        sentence += " " + say("generation.again_said", error=numbers.short(again.logits), size=numbers.short(again.size),
                              p=numbers.short(again.probability), other=again.other, steps=again.steps)  # fmt: skip
        limit = logits.limit(trace.store, trace.attention.values())
        badge = figure_footer.fidelity_badge(again.logits / again.size, limit and limit / again.size, trace)

    def steps_csv() -> bytes:
        values = np.array([[np.nan if c.probability is None else c.probability, np.nan if c.rank is None else c.rank + 1]
                           for c in picks])  # fmt: skip
        return export.matrix_csv(values, [c.token for c in picks], ["probability", "rank"])

    slug = f"{figure_footer.safe(trace.key.model)}-greedy"
    drawn = [chart, *(row for _, row in attention_rows.values())]
    arrays = {"tokens": table[0], "probabilities": table[1], **rows}
    figure_footer.draw("generation-greedy", sentence, badge, lambda: {
        f"{slug}.csv": steps_csv, f"{slug}.npz": lambda: export.npz(**arrays)}, lambda: generation_charts.stack(drawn),
        [decoding.choice, decoding.stepwise_difference, type(trace).weights])  # fmt: skip
    with st.expander(say("generation.every_step"), expanded=False):
        st.dataframe({
            say("generation.step"): list(range(1, len(picks) + 1)),
            say("card.token"): [tokens.readable(c.token) for c in picks],
            say("steps.probability"): ["–" if c.probability is None else numbers.short(c.probability, 4) for c in picks],
            say("generation.rank"): ["–" if c.rank is None else str(c.rank + 1) for c in picks],
        }, hide_index=True, width=560)  # fmt: skip


def _again(trace: Trace, decoder: Decoder | None) -> Difference | None:
    """The same text decoded step by step: at once for our small models, else where somebody asks."""
    from model.generation import decoder as decoding

    if decoder is None:
        return None
    done = jobs.has_result("generation", "again", (trace.key,))
    if not done and not model_list.is_ours(view.model_of(trace)) and not st.button(
        say("generation.again"), key="generation-again", help=say("generation.again_help")
    ):  # fmt: skip
        return None
    return job("again", (trace.key,), lambda: decoding.stepwise_difference(trace, decoder))
