"""One hypothesis of a beam search: its tokens, its score's arithmetic, what became of it, and where its step looked."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from viz.base import export, numbers, tokens
from viz.generation.charts import score_formula
from viz.ui import language
from viz.ui.generation.common import attention_rows, chips, head_pickers, job, reads, show_rows
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import page_controls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model.generation.beam import Beams, Hypothesis
    from model.generation.decoder import Decoder
    from model.trace.attention_record import AttentionRecord
    from model.trace.site import Site
    from model.trace.trace import Trace

Node = tuple[int, int]


def selected(beams: Beams, search: tuple[Any, ...]) -> Node:
    """The (step, index) that is looked at: of a new search the end of its best text."""
    best = beams.finished[0] if beams.finished else None
    first = (len(beams.steps) - 1, 0) if best is None else (best.step, best.index)
    known = {_written((t, i)): (t, i) for t, step in enumerate(beams.steps) for i in range(len(step))}
    key = f"generation-picked@{zlib.crc32(repr(search).encode()):08x}"
    page_controls.among(key, _written(first), list(known))
    st.session_state["generation-picked-in"] = key
    return known[st.session_state[key]]


def _written(node: Node) -> str:
    return f"{node[0] + 1}_{node[1] + 1}"


def pick(node: Node) -> None:
    """Look at another hypothesis of the search that is drawn."""
    page_controls.put(st.session_state["generation-picked-in"], _written(node))


def show(
    trace: Trace, decoder: Decoder, beams: Beams, texts: list[list[str]], node: Node, asked: tuple[Any, ...]
) -> None:  # fmt: skip
    """Pickers for whoever prefers a list to a click, then everything about the hypothesis."""
    page_text.heading("generation.hypothesis_name")
    path = beams.path(*node)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        _pickers(beams, texts, node)
        layer, head = head_pickers(trace)
    read = reads(trace)
    chips([read(number) for number in decoder.start] + [read(one.token) for one in path[:-1]], read(path[-1].token))
    st.markdown(_became(beams, path[-1], node))
    st.latex(score_formula([one.log_p for one in path], path[-1].total, beams.alpha, path[-1].score))
    ids = (*decoder.start, *(one.token for one in path[:-1]))
    records: Mapping[Site, AttentionRecord] = job("forced", (trace.key, ids), lambda: decoder.record(ids))
    sides = {"decoder": [read(number) for number in ids]}
    if "encoder" in trace.sides:
        sides["encoder"] = [item["text"] for item in tokens.labels(trace, "encoder")]
    found = attention_rows(records, layer, head, len(ids) - 1, sides)
    with st.container(key="figures"):
        columns = st.columns(len(found), gap="large")
    for column, (kind, row) in zip(columns, found.items(), strict=True):
        with column:
            show_rows({kind: row}, layer, head)
    _footer(trace, path, found, records)


def _pickers(beams: Beams, texts: list[list[str]], node: Node) -> None:
    """Step and hypothesis as lists."""
    names = {}
    for i, (one, text) in enumerate(zip(beams.steps[node[0]], texts[node[0]], strict=True)):
        parent = texts[node[0] - 1][one.parent] if one.parent >= 0 else ""
        status = say(f"generation.status_{beams.status(node[0], i)}")
        names[i] = f"{i + 1}. {parent} {text} · {numbers.total(one.total)} · {status}".strip()
    steps = list(range(len(beams.steps)))
    for name, options, now, width in (
        ("hypothesis_step", steps, node[0], 120),
        ("hypothesis", list(names), node[1], 330),
    ):
        key = f"generation-{name}-{language.current()}"
        st.session_state[key] = now
        shown = (lambda i: str(i + 1)) if name == "hypothesis_step" else names.__getitem__
        st.selectbox(say(f"generation.pick_{name}"), options, format_func=shown, key=key, width=width,
                     on_change=_pick, args=(name, key, node))  # fmt: skip


def _pick(name: str, key: str, node: Node) -> None:
    value = st.session_state[key]
    pick((value, 0) if name == "hypothesis_step" else (node[0], value))


def _became(beams: Beams, one: Hypothesis, node: Node) -> str:
    """What became of it and why, with the numbers."""
    step, k = beams.steps[node[0]], beams.k
    values: dict[str, object] = {"k": k, "rank": one.rank + 1, "total": numbers.total(one.total)}
    status = beams.status(*node)
    after = beams.steps[node[0] + 1] if node[0] + 1 < len(beams.steps) else None
    lived = {each.parent for each in after or () if each.status in ("runs", "finished", "limit")}
    if status == "runs" and after is not None and node[1] not in lived:
        status = "childless"
    if status in ("finished", "limit"):
        pushed = any((each.step, each.index) == node for each in beams.dropped)
        status = "pushed" if pushed else status
    if status == "pruned":
        values["last"] = numbers.total(min(each.total for each in step if each.status == "runs") if any(
            each.status == "runs" for each in step) else step[k - 1].total, 4)  # fmt: skip
    else:
        values["last"] = ""
    return say(f"generation.became_{status}", **values)


def _footer(
    trace: Trace,
    path: list[Hypothesis],
    attention_rows: dict[str, tuple[np.ndarray, Any]],
    records: Mapping[Site, AttentionRecord],
) -> None:
    from model.generation import decoder as decoding
    from model.generation.beam import Beams
    from model.trace import logits

    arrays = {
        "log_p": np.array([one.log_p for one in path]),
        **{kind: row for kind, (row, _) in attention_rows.items()},
    }
    total = path[-1].total
    store = next(iter(records.values())).store
    again = decoding.recorded_total(store, [one.token for one in path])
    sentence, badge = say("generation.forced_sentence"), figure_footer.run_badge(trace)
    if again is not None:
        sentence += " " + say("generation.forced_total", total=numbers.total(again))
        # Each step's log p is as far off as the logits of two runs, and ranks add them up in float32.
        size, limit = max(1.0, abs(total)), logits.limit(store, records.values())
        badge = figure_footer.fidelity_badge(
            abs(total - again) / size, limit and limit * len(path) ** 0.5 / size, trace
        )
    chart = next(iter(attention_rows.values()))[1]

    def csv() -> bytes:
        table = {"step": range(1, len(path) + 1), "token": [one.token for one in path], "log_p": arrays["log_p"],
                 "total": [one.total for one in path]}  # fmt: skip
        return export.table_csv(pd.DataFrame(table))

    figure_footer.draw("generation-hypothesis", sentence, badge, lambda: {
        f"{figure_footer.safe(trace.key.model)}-hypothesis.csv": csv,
        f"{figure_footer.safe(trace.key.model)}-hypothesis.npz": lambda: export.npz(**arrays)}, lambda: chart,
        [Beams.path, decoding.recorded_total])  # fmt: skip
