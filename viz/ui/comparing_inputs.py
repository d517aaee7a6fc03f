"""One head on two inputs: tokens that stand for each other, both matrices over them, and what changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.errors import HeadlightError
from viz import export, numbers, tokens
from viz.ui import components, controls, feet, language, models, panels, runs, session
from viz.ui.language import say
from viz.ui.widgets import mirror

if TYPE_CHECKING:
    from model.comparing import Aligned
    from model.trace import Trace

_MOST = 48  # tokens of which a matrix is drawn; the numbers are over all
_EXAMPLE = (
    "the animal didn't cross the street because it was too tired",
    "the animal didn't cross the street because it was too wide",
)


def show(trace: Trace) -> None:
    """The second text, how it aligns, and the head on both."""
    controls.head_picker(trace, words=False)
    other = _second(trace)
    if other is None:
        return
    site, head, _, _ = session.selected()
    if str(site) not in {str(s) for s in other.sites} or head >= other.record(site).heads:
        st.info(say("comparing.no_counterpart"))
        return
    for run in (trace, other):
        if feet.refused(run, site):
            return
    from model import comparing

    sides = (site.query_side, site.key_side)
    found = {side: comparing.aligned(trace.tokens(side), other.tokens(side)) for side in sides}
    _aligned(trace, other, found)
    _matrices(trace, other, found)


def _second(trace: Trace) -> Trace | None:
    """The other text's run; what cannot be run is said, and the page stays."""
    now = session.view()
    told = now.against.removeprefix("text:") if now.against.startswith("text:") else ""
    if models.is_trace(now.model) or getattr(runs.model(), "reads", "text") != "text":
        st.info(say("comparing.no_second"))
        return None
    key = mirror("comparing_text", told)
    st.text_input(
        say("comparing.second"), key=key, placeholder=say("comparing.second_hint"), max_chars=2000,
        on_change=lambda: session.change(against=f"text:{st.session_state[key]}" if st.session_state[key].strip() else ""),
    )  # fmt: skip
    if models.is_ours(now.model) and "translate" in now.model and (now.text, told) != _EXAMPLE:
        st.button(say("comparing.example"), key="comparing-example", type="tertiary",
                  on_click=lambda: session.change(text=_EXAMPLE[0], against=f"text:{_EXAMPLE[1]}", site="encoder.1.self",
                                                  head=2))  # fmt: skip
    if not told.strip():
        return None
    try:
        return runs.trace_of(replace(now, text=told, target=""))
    except HeadlightError as error:
        st.warning(language.explain(error))
        return None


def _aligned(trace: Trace, other: Trace, found: dict[str, Aligned]) -> None:
    """Which tokens stand for each other, and which have no counterpart."""
    for side, each in found.items():
        first, second = (run.side(side).texts for run in (trace, other))
        changed = " · ".join(f"{panels.code(first[i])} → {panels.code(second[j])}" for i, j in each.changed[:12])
        alone = [
            *(panels.code(first[i]) for i in each.only_first[:8]),
            *(panels.code(second[j]) for j in each.only_second[:8]),
        ]
        said = [say("comparing.same", side=say(f"site.{side}"), n=len(each.pairs))]
        said += [say("comparing.changed", pairs=changed)] if changed else []
        said += [say("comparing.alone", tokens=" ".join(alone))] if alone else []
        st.caption(" ".join(said))


def _matrices(trace: Trace, other: Trace, found: dict[str, Aligned]) -> None:
    from model import comparing
    from viz import comparing as pictures

    site, head, _, _ = session.selected()
    rows, columns = (sorted((*found[side].pairs, *found[side].changed)) for side in (site.query_side, site.key_side))
    if not rows or not columns:
        st.info(say("comparing.nothing_aligned"))
        return
    (before, lost), (after, lost_after) = (
        comparing.over_aligned(run.weights(site, head), [pair[k] for pair in rows], [pair[k] for pair in columns])
        for k, run in enumerate((trace, other))
    )
    names = _names(trace, other, rows, columns)
    shown = tuple(slice(0, _MOST) for _ in range(2))
    words = language.group("matrix") | {"row": say("matrix.query"), "column": say("matrix.key"), "help": ""}
    weights = {"kind": "sequential", "low": 0, "high": 1}
    apart = (after - before).numpy()
    end = float(np.abs(apart[shown]).max(initial=0.0)) or 1.0
    figures = [
        (say("comparing.first_text"), before.numpy()[shown], weights, say("matrix.legend")),
        (say("comparing.second_text"), after.numpy()[shown], weights, say("matrix.legend")),
        (say("comparing.second_less"), apart[shown], {"kind": "diverging", "low": -end, "high": end}, say("comparing.legend")),
    ]  # fmt: skip
    with st.container(key="ways"):
        for place, (area, (title, values, scale, legend)) in enumerate(zip(st.columns(3), figures, strict=True)):
            labels = [[{"text": text, "kind": "word"} for text in texts[:_MOST]] for texts in names[min(place, 1)]]
            with area:
                st.markdown(f"**{title}**")
                components.matrix(
                    key=f"comparing-input-{place}",
                    data=pictures.plain_frame(values, *labels, scale, words | {"legend": legend, "alt": title},
                                              ("aligned-rows", "aligned-columns"), 360),
                )  # fmt: skip
    mean = numbers.short(float(comparing.jensen_shannon(before.double(), after.double()).mean()))
    outside = max(float(lost.max()), float(lost_after.max()))
    said = say(
        "comparing.inputs_sentence",
        mean=mean,
        most=numbers.short(float(np.abs(apart).max())),
        lost=numbers.short(max(0.0, outside)),
    )
    if max(apart.shape) > _MOST:
        said += " " + say("comparing.first_tokens", n=_MOST)
    slug = f"{feet.safe(trace.key.model)}-{site}-head{head}-two-inputs"
    feet.foot("comparing-inputs", said, feet.site_badge(trace, site), lambda: {
        f"{slug}.csv": lambda: export.matrix_csv(apart, *names[0]),
        f"{slug}.npz": lambda: export.npz(before=before.numpy(), after=after.numpy(), queries=rows, keys=columns),
    }, None, (comparing.aligned, comparing.over_aligned, comparing.jensen_shannon))  # fmt: skip
    # A token that changed is called by both.
    both = [[a if a == b else f"{a} → {b}" for a, b in zip(*pair, strict=True)] for pair in zip(*names, strict=True)]
    told = {name: say(f"comparing.{name}") for name in ("before", "after")} | {
        "query": say("matrix.query"),
        "key": say("matrix.key"),
    }
    st.markdown(f"#### {say('comparing.most_changed')}")
    st.dataframe(pictures.changed_table(before.numpy(), after.numpy(), *both, told), hide_index=True, width=640)


def _names(
    trace: Trace, other: Trace, rows: list[tuple[int, int]], columns: list[tuple[int, int]]
) -> list[tuple[list[str], list[str]]]:
    """(queries, keys) of the first and of the second text."""
    site, _, _, _ = session.selected()
    found = []
    for k, run in enumerate((trace, other)):
        queries, keys = (labels(run, site) for labels in (tokens.query_labels, tokens.key_labels))
        found.append(([queries[p[k]]["text"] for p in rows], [keys[p[k]]["text"] for p in columns]))
    return found
