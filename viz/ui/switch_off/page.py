"""The page Switch off: what to change, what the model then says, the control, every head off alone, and the meter of trust."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from model.errors import HeadlightError
from viz import effects
from viz.base import export, numbers
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, side_bar
from viz.ui.shared.side_bar import site_name
from viz.ui.state import current_run, model_list, page_controls, view
from viz.ui.switch_off import answer, choose, edges, measured
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.attribution.metric import Metric
    from model.trace.trace import Trace

_PLACES = 400  # beyond so many the list of places is the last ones
_WELL = 0.7  # a rank correlation from which the brightest cells are mostly those that matter
_SMALL = 1500  # heads · queries of a run whose heads are switched off without being asked


def show(trace: Trace) -> None:
    """Everything between the title and the notes."""
    if model_list.is_trace(trace.key.model) or current_run.model() is None:
        st.info(say("switch_off.saved"), icon=":material/info:")
        return
    side_bar.head_picker(trace, words=False)
    page_text.selection_line(trace)
    choose.controls(trace)
    metric = _metric(trace)
    if metric is None:
        return
    if not _finite(trace, metric):
        st.info(say("switch_off.not_finite"), icon=":material/info:")
        return
    if choose.edits() and choose.read() is not None:
        try:
            _effect(trace, metric)
        except HeadlightError as error:  # the tokens are no more among the logits that a long run keeps
            st.info(language.explain(error), icon=":material/info:")
    _every_head(trace, metric)
    _edges(trace, metric)
    _trust(trace, metric)


def _metric(trace: Trace) -> Metric | None:
    """The number that is explained: at the place that is chosen, by itself where the model is least sure."""
    from model.attribution.metric import metric_of

    try:
        first = metric_of(trace)
    except HeadlightError as error:
        st.info(language.explain(error), icon=":material/info:")
        return None
    if first.name != "logits" or trace.facts.get("gaps"):
        return first
    places = list(range(len(trace.tokens(trace.predicting_side))))[-_PLACES:]
    written = trace.written()
    st.selectbox(
        say("switch_off.place"), places, width=300, help=say("switch_off.place_help"),
        format_func=lambda place: f"{place} · {language.plain(written[place]) if place < len(written) else ''}",
        **page_controls.among("switch-place", _least_sure(trace, places), places),
    )  # fmt: skip
    return metric_of(trace, st.session_state["switch-place"])


def _finite(trace: Trace, metric: Metric) -> bool:
    """Whether there is a number to explain: NaN and infinity have no change."""
    return math.isfinite(metric.value(trace))


def _least_sure(trace: Trace, places: list[int]) -> int:
    """Where the likeliest token is ahead of the next by least, the last place left out (it ends the text)."""
    if "logits" not in trace.store:
        return places[-1]
    best = trace.store["logits"].double().topk(2).values
    apart = (best[:, 0] - best[:, 1]).tolist()
    prompt = int(trace.facts.get("prompt", 1)) if len(trace.sides) == 1 else 1
    counted = [place for place in places if place >= prompt - 1][:-1] or places
    return min(counted, key=lambda place: apart[place])


def _effect(trace: Trace, metric: Metric) -> None:
    found = measured.edited(trace, choose.edits())
    if found is None:
        return
    after, forced = found
    page_text.heading("switch_off.effect")
    answer.written(trace, after)
    with st.container(key="figures"):
        left, right = st.columns(2, gap="large")
    with left:
        change = answer.number(trace, forced, metric)
        _control(trace, metric, change)
    with right:
        answer.next_tokens(trace, forced, metric)


def _control(trace: Trace, metric: Metric, change: float) -> None:
    from model.edits.off import Off

    edits = choose.read() or []
    off = [edit for edit in edits if isinstance(edit, Off)]
    if not off or len(off) < len(edits):
        return
    draws = measured.random_heads(trace, metric, off)
    if not draws:
        return
    page_text.heading("switch_off.control", small=True)
    words = {"change": say("switch_off.change"), "random": say("switch_off.random"), "mine": say("switch_off.mine"),
             "alt": say("switch_off.control_alt", n=len(draws))}  # fmt: skip
    st.altair_chart(effects.control(draws, change, words, theme()))
    beyond = sum(abs(draw) >= abs(change) for draw in draws)
    table = pd.DataFrame({"change": draws})
    figure_footer.draw(
        "switch-control", say("switch_off.control_sentence", n=len(draws), beyond=beyond),
        figure_footer.worst_badge(trace, trace.sites), lambda: {f"{_slug(trace)}-control.csv": lambda: export.table_csv(table)},
        lambda: effects.control(draws, change, words), (measured.random_heads,),
    )  # fmt: skip


def _slug(trace: Trace) -> str:
    return f"{figure_footer.safe(trace.key.model)}-switched-off"


def _every_head(trace: Trace, metric: Metric) -> None:
    small = sum(record.heads * record.queries for record in trace.attention.values()) <= _SMALL
    st.toggle(say("switch_off.every"), help=say("switch_off.every_help"), **page_controls.switch("switch-every", small))
    if not st.session_state["switch-every"]:
        return
    how = "mean" if st.session_state.get("switch-how") == "mean" else "zero"
    found = measured.every_head(trace, metric, how)
    if found is None:
        return
    page_text.heading("switch_off.heads", metric=answer.in_words(metric))
    if not np.isfinite([effect for _, _, effect in found]).any():
        st.info(say("switch_off.not_finite"), icon=":material/info:")
        return
    order = [site_name(site) for site in reversed(trace.sites)]
    columns = ["site", "head", "effect"]
    table = pd.DataFrame(found, columns=columns).assign(
        row=[site_name(site) for site, _, _ in found], id=[f"{site}.{head}" for site, head, _ in found]
    )
    words = {"head": say("pick.head"), "layer": say("pick.site"), "effect": say("switch_off.change"),
             "alt": say("switch_off.heads_alt", n=len(table))}  # fmt: skip
    site, head, _, _ = view.selected()
    key = f"switch-map-{site}-{head}"

    def draw(mode: str = "light") -> object:
        return effects.head_map(table, order, [f"{site}.{head}"], words, mode)

    st.altair_chart(draw(theme()), width="content", key=key, on_select=lambda: _pressed(key), selection_mode="head")
    best = table.loc[table["effect"].abs().idxmax()]
    said = say("switch_off.heads_sentence", site=best["row"], head=best["head"], change=answer.signed(best["effect"]),
               how=say(f"switch_off.how_{how}"))  # fmt: skip
    sizes = table["effect"].abs()
    mine = sizes[(table["site"] == str(site)) & (table["head"] == head)]
    said += " " + say("switch_off.rank", rank=int((sizes > mine.max()).sum()) + 1, n=len(table))
    from model.attribution.heads_off import effects as runs

    figure_footer.draw(
        "switch-heads", said, figure_footer.worst_badge(trace, trace.sites),
        lambda: {f"{_slug(trace)}-every-head.csv": lambda: export.table_csv(table[columns])}, draw, (runs,),
    )  # fmt: skip


def _pressed(key: str) -> None:
    points = st.session_state[key].selection.get("head", [])
    if points and points[-1].get("id"):
        site, _, head = str(points[-1]["id"]).rpartition(".")
        view.change(site=site, head=int(head), heads="")


def _edges(trace: Trace, metric: Metric) -> None:
    st.toggle(
        say("switch_off.edges_switch"), help=say("switch_off.edges_help"), **page_controls.switch("switch-edges-open")
    )
    if st.session_state["switch-edges-open"]:
        edges.show(trace, metric)


def _verdict(low: float, correlation: float) -> str:
    """May one believe a bright cell here: by the weights' own correlation with real runs, and the lower end of its interval."""
    if low <= 0:
        return say("switch_off.believe_not")
    return say("switch_off.believe_well" if correlation >= _WELL else "switch_off.believe_little")


def _trust(trace: Trace, metric: Metric) -> None:
    st.toggle(say("switch_off.meter"), help=say("switch_off.meter_help"), **page_controls.switch("switch-meter"))
    if not st.session_state["switch-meter"]:
        return
    found = measured.trust(trace, metric)
    if found is None:
        return
    page_text.heading("switch_off.trust", n=len(found.edges))
    names = {one.name: say(f"switch_off.method_{one.name}") for one in found.readings}
    words = {"correlation": say("switch_off.correlation"), "alt": say("switch_off.trust_alt", n=len(found.readings))}
    st.altair_chart(effects.readings(found.readings, names, words, theme()))
    weight = next(one for one in found.readings if one.name == "weight")
    said = say("switch_off.trust_sentence", n=len(found.edges), value=numbers.short(weight.correlation))
    st.markdown(_verdict(weight.low, weight.correlation))
    table = pd.DataFrame([vars(one) for one in found.readings])
    from model.attribution import meter

    figure_footer.draw(
        "switch-meter", said, figure_footer.worst_badge(trace, trace.sites),
        lambda: {f"{_slug(trace)}-meter.csv": lambda: export.table_csv(table)},
        lambda: effects.readings(found.readings, names, words), (meter.draw, meter.measured, meter.reading),
    )  # fmt: skip
