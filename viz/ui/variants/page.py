"""The page Variants: one switch on the selected head, the weights before and after it, and what it does to the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.widgets import parts
from viz.ui.state import page_controls, view
from viz.ui.variants import switches
from viz.ui.variants.switches import SWITCHES, Change

if TYPE_CHECKING:
    from model.attention.variants import Comparison
    from model.trace.attention_record import AttentionRecord
    from model.trace.site import Site
    from model.trace.trace import Trace

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def show(trace: Trace) -> None:
    """The switch, its formula, both matrices with their difference, and the numbers of the selected row."""
    import torch

    from model.attention import variants
    from model.steps.step import window

    site, head, row, column = view.selected()
    if figure_footer.refused(trace, site):
        return
    name = parts("variants", say("variants.pick"), list(SWITCHES), "scale", lambda v: say(f"variants.{v}"))
    st.markdown(say(f"variants.{name}_what"))
    record = trace.record(site)
    cuts = (window(record.queries, row), window(record.keys, column))
    single = record.select([head], torch.float64)
    change = SWITCHES[name](record, single, head, cuts[0])
    if change is None:
        return
    found = variants.compare(single, change.after, cuts[0])
    st.latex(_formula(record, change))
    _matrices(trace, site, found, cuts, (row, column), name)
    _row(trace, site, found, cuts, row, column)
    st.caption(change.said)
    _footer(trace, site, head, found, cuts, change, name)
    if name == "heads":
        _every_head(trace, site, cuts, (row, column))
    if name == "scale":
        _saturation()


def _formula(record: AttentionRecord, change: Change) -> str:
    from viz.heads.variants import formula

    return formula(switches.softmax(switches.scores(record)), change.latex)


def _matrices(
    trace: Trace, site: Site, comparison: Comparison, cuts: tuple[slice, slice], at: tuple[int, int], name: str
) -> None:
    from viz.heads.variants import compare_frame

    words = language.group("equation") | {
        "alt": say("variants.alt", name=say(f"variants.{name}")),
        "help": say("variants.help"),
    }
    frame = compare_frame(trace, site, comparison, cuts, at, words)
    components.equation(key="variants", data=frame, on_select_change=lambda: _select("variants", cuts))
    if any(cut.stop - cut.start < total for cut, total in zip(cuts, _totals(trace, site), strict=True)):
        st.caption(say("variants.part", rows=_span(cuts[0]), columns=_span(cuts[1])))


def _totals(trace: Trace, site: Site) -> tuple[int, int]:
    return trace.record(site).queries, trace.record(site).keys


def _span(cut: slice) -> str:
    return f"{cut.start}–{cut.stop - 1}"


def _select(key: str, cuts: tuple[slice, slice]) -> None:
    """A click selects the query and the key, here and on every page."""
    if picked := st.session_state[key].get("select"):
        view.change(row=int(picked["row"]) + cuts[0].start, column=int(picked["column"]) + cuts[1].start)


def _row(
    trace: Trace,
    site: Site,
    comparison: Comparison,
    cuts: tuple[slice, slice],
    row: int,
    column: int,
) -> None:
    """The selected row in numbers and as bars."""
    from model.transformer.attention import entropy
    from viz.heads.variants import bars

    inside = row - cuts[0].start
    pair = (comparison.before[inside], comparison.after[inside])
    measures = {
        "cell": [float(a[column]) for a in pair],
        "largest": [float(a.max()) for a in pair],
        "entropy": [float(entropy(a)) for a in pair],
        "sum": [float(a.sum()) for a in pair],
    }
    table = [f"| {say('variants.row')} | {say('variants.recorded')} | {say('variants.variant')} |", "|:--|--:|--:|"]
    table += [
        f"| {say(f'variants.{key}')} | {numbers.short(a, 4)} | {numbers.short(b, 4)} |"
        for key, (a, b) in measures.items()
    ]
    with st.container(key="figures"):
        left, right = st.columns(2, gap="large")
    left.markdown("\n".join(table))
    words = language.group("variants") | {"alt": say("variants.bars_alt")}
    labels = [label["text"] for label in tokens.key_labels(trace, site)]
    right.altair_chart(bars(comparison, inside, labels, words))


def _footer(
    trace: Trace, site: Site, head: int, comparison: Comparison, cuts: tuple[slice, slice], change: Change, name: str
) -> None:

    from model.trace.attention_record import AttentionRecord
    from viz.heads.variants import picture

    rows = [label["text"] for label in tokens.query_labels(trace, site)][cuts[0]]
    columns = [label["text"] for label in tokens.key_labels(trace, site)]
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-head{head}-{name}"

    def files() -> dict[str, Callable[[], bytes]]:
        return {
            f"{slug}.csv": lambda: export.matrix_csv(comparison.after.numpy(), rows, columns),
            f"{slug}.npz": lambda: export.npz(
                recorded=comparison.before.numpy(), variant=comparison.after.numpy(), masked=comparison.dead_after.numpy(),
                queries=rows, keys=columns,
            ),
        }  # fmt: skip

    def figure():
        from dataclasses import replace

        parts = {f: getattr(comparison, f)[:, cuts[1]] for f in ("before", "after", "dead_before", "dead_after")}
        return picture(replace(comparison, **parts), rows, columns[cuts[1]], (say("matrix.query"), say("matrix.key")))

    badge = figure_footer.site_badge(trace, site)  # of the unchanged head
    code = (*change.code, AttentionRecord.scores, AttentionRecord.weights)
    figure_footer.draw("variants", say("variants.off"), badge, files, figure=figure, code=code)


def _every_head(trace: Trace, site: Site, cuts: tuple[slice, slice], at: tuple[int, int]) -> None:
    """The h softmaxes that the wide head's one replaces."""
    from viz.heads.variants import heads_frame

    record = trace.record(site)
    page_text.heading("variants.every", what="", small=True, h=record.heads)
    heads = [record.weights(head, cuts[0]).numpy() for head in range(min(record.heads, 16))]
    words = language.group("equation") | {
        "alt": say("variants.every", h=record.heads),
        "help": say("equation.help_cell"),
    }
    frame = heads_frame(trace, site, heads, ~record.allowed(cuts[0]).numpy(), cuts, at, words)
    components.equation(key="variants-heads", data=frame, on_select_change=lambda: _select("variants-heads", cuts))
    rows, columns = trace.tokens(site.query_side), trace.tokens(site.key_side)
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-heads"

    def figure():
        from viz.base import static_chart

        names = rows[cuts[0]], columns[cuts[1]]
        return static_chart.in_a_row([(f"A_{h}", weights[:, cuts[1]], *names) for h, weights in enumerate(heads)])

    figure_footer.draw(
        "variants-heads", say("variants.every_what"), figure_footer.site_badge(trace, site),
        lambda: {f"{slug}.csv": lambda: export.site_csv(trace, site),
                 f"{slug}.npz": lambda: export.npz(weights=np.stack(heads), queries=rows[cuts[0]], keys=columns)},
        figure, (type(record).weights,),
    )  # fmt: skip


@st.cache_data(show_spinner=False, max_entries=4)
def _random(seed: int) -> list[object]:
    from model.attention.variants import saturation

    return list(saturation(_SIZES, seed))


def _saturation() -> None:
    """Random q and k: the softmax saturates as d_k grows, unless it is divided by √d_k."""
    from model.attention import variants
    from viz.heads.variants import beside, saturation_curves, saturation_row

    st.markdown(f"### {say('variants.random')}")
    st.markdown(say("variants.random_what"))
    d_k = st.select_slider(
        say("variants.random_pick"), _SIZES, width=420, **page_controls.among("variants-d_k", 64, _SIZES)
    )
    found = _random(0)
    one = found[_SIZES.index(d_k)]
    words = language.group("variants") | {"alt": say("variants.random_alt"), "largest": say("variants.largest_mean"),
                                          "entropy": say("variants.entropy_mean")}  # fmt: skip
    rows = [f"| d_k = {d_k} | {words['unscaled']} | {words['scaled']} |", "|:--|--:|--:|"]
    lines = {
        "variance": (one.variance, one.variance / d_k),
        "largest_mean": one.largest,
        "entropy_mean": one.entropy,
    }
    rows += [
        f"| {say(f'variants.{k}')} | {numbers.short(a, 4)} | {numbers.short(b, 4)} |" for k, (a, b) in lines.items()
    ]
    with st.container(key="ways"):
        left, right = st.columns(2, gap="large")
    left.markdown("\n".join(rows))
    right.altair_chart(saturation_row(one, words))
    curves = saturation_curves(found, d_k, words)
    with st.container(horizontal=True, gap="medium", key="variants-curves"):
        for curve in curves:
            st.altair_chart(curve, width="content")
    table = pd.DataFrame(
        [(o.d_k, o.variance, *o.largest, *o.entropy) for o in found],
        columns=["d_k", "variance", "largest_unscaled", "largest_scaled", "entropy_unscaled", "entropy_scaled"],
    )
    figure_footer.draw(
        "variants-random", say("variants.random_foot"), None,
        lambda: {"saturation.csv": lambda: export.table_csv(table),
                 "saturation.npz": lambda: export.npz(**{c: table[c].to_numpy() for c in table})},
        figure=lambda: beside(curves), code=(variants.saturation, variants.random_pairs),
    )  # fmt: skip
