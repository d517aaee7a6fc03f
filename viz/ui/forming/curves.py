"""A measure of every head over the steps of a training, and where the selected one changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.forming.change_point import LEAST_SHARE
from viz.base import export, numbers
from viz.ui.forming import matrix
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import page_controls, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from pandas import DataFrame

    from model.forming.change_point import ChangePoint
    from model.forming.over_steps import StepRun
    from model.trace.trace import Trace

_FIRST = ("previous", "induction", "alignment", "entropy")  # what the list begins with


def show(trace: Trace, found: list[StepRun], measured: DataFrame, chosen: tuple[str, int], step: int) -> None:
    """The list of measures, the curves, and the sentence on the selected head."""
    from model.forming import change_point, over_steps
    from viz import forming

    page_text.heading("forming.curves")
    mine = measured[(measured["site"] == chosen[0]) & (measured["head"] == chosen[1])]
    measure = st.selectbox(
        say("forming.measure"), offered(mine), format_func=name_of, width=260,
        **page_controls.among("forming-measure", changed_most(mine), offered(mine)),
    )  # fmt: skip
    values = mine[measure].tolist()
    change = change_point.change_point(mine["step"].tolist(), values, over_steps.least_change(measure))
    _sentence(measure, values, change)
    named = measured.assign(
        name=[f"{site_name(site)} · {say('site.head', head=head)}"
              for site, head in zip(measured["site"], measured["head"], strict=True)]
    )  # fmt: skip
    words = {"steps": say("forming.step"), "value": name_of(measure), "head": say("forming.head"),
             "alt": say("forming.curves_alt", measure=name_of(measure), n=len(found))}  # fmt: skip

    def draw(mode: str = "light") -> object:
        return forming.curves(named, measure, chosen, step, words, mode, bounds_of(measure), change)

    # A chart forgets its press with each new selection, so that the same curve can be pressed again.
    key = f"forming-curve-{measure}-{chosen[0]}-{chosen[1]}"
    st.altair_chart(forming.clickable(draw(theme())), key=key, on_select=lambda: _pressed(key), selection_mode="head")
    slug = f"{figure_footer.safe(trace.key.model)}-forming"
    checks = [matrix.badge(found, site) for site in trace.sites]
    figure_footer.draw(
        "forming-curves", _footer(len(found), change),
        next((check for check in checks if check.fails), checks[-1]),
        lambda: {f"{slug}.csv": lambda: export.table_csv(measured)}, draw,
        (change_point.change_point, over_steps.step_run),
    )  # fmt: skip


def _footer(steps: int, change: ChangePoint | None) -> str:
    parts = [say("forming.curves_sentence", n=steps)]
    return " ".join(parts if change is None else [*parts, say("forming.band_sentence")])


def _pressed(key: str) -> None:
    points = st.session_state[key].selection.get("head", [])
    if points and "site" in points[-1]:
        view.change(site=str(points[-1]["site"]), head=int(points[-1]["head"]), heads="")


def name_of(measure: str) -> str:
    """What a measure is called on the screen."""
    return say("forming.alignment") if measure == "alignment" else measure_words.short_name(_column(measure))


def _column(measure: str) -> str:
    from model.measures.registry import BY_NAME

    return BY_NAME[measure].column


def bounds_of(measure: str) -> tuple[float, float]:
    from model.measures.registry import BY_NAME

    return (0.0, 1.0) if measure == "alignment" else BY_NAME[measure].bounds


def offered(mine: DataFrame) -> list[str]:
    """The measures that say anything of this head, the four of the page first."""
    there = [name for name in mine.columns[3:] if np.isfinite(mine[name].to_numpy(float)).any()]
    return [*(name for name in _FIRST if name in there), *(name for name in there if name not in _FIRST)]


def changed_most(mine: DataFrame) -> str:
    """The share that is furthest at the end from where it began, one of the page's own where any moved; else entropy."""
    shares = [name for name in offered(mine) if bounds_of(name) == (0.0, 1.0)]
    moved = {name: abs(mine[name].iloc[-1] - mine[name].iloc[0]) for name in shares}
    for names in (_FIRST, tuple(moved)):
        far = {name: moved[name] for name in names if moved.get(name, 0.0) >= LEAST_SHARE}
        if far:
            return max(far, key=far.get)
    return "entropy"


def _sentence(measure: str, values: list[float], change: ChangePoint | None) -> None:
    name = name_of(measure)
    if change is None:
        ends = [numbers.short(values[0]), numbers.short(values[-1])]
        st.markdown(say("forming.no_change", measure=name, first=ends[0], last=ends[1]))
        return
    values_of = {"before": numbers.short(change.before), "after": numbers.short(change.after), "measure": name}
    values_of |= {"low": f"{change.low:,}", "high": f"{change.high:,}"}
    rises = change.after > change.before
    st.markdown(say("forming.rose", **values_of) if rises else say("forming.fell", **values_of))
