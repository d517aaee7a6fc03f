"""A head as recorded and under a variant: the frame of both with their difference, their formulas and small charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import palette, static_chart, tokens
from viz.steps.equation import WEIGHTS, EquationFrame, shared_scale

if TYPE_CHECKING:
    from model.attention.variants import Comparison, Saturation
    from model.trace.site import Site
    from model.trace.trace import Trace

_HEIGHT = 250  # pixels of the matrices at most
_KEYS, _STRONGEST = 24, 16  # of more keys than the first, so many are bars of their own
_HEADS = 16  # heads that are drawn beside the wide one


def marked(latex: str) -> str:
    """The changed part of a formula: in colour, and underlined for whoever does not see it."""
    return rf"\textcolor{{#cc5c14}}{{\underline{{{latex}}}}}"


def formula(recorded: str, changed: str) -> str:
    """What was recorded above what the variant makes of it; `changed` marks its own part."""
    return rf"\begin{{aligned}}A &= {recorded} \\[4pt] A' &= {changed}\end{{aligned}}"


def compare_frame(
    trace: Trace,
    site: Site,
    comparison: Comparison,
    cuts: tuple[slice, slice],
    at: tuple[int, int],
    words: dict[str, str],
) -> bytes:
    """A′ − A = Δ. comparison: the rows cuts[0] over all keys; weights on one scale from 0 to 1, Δ symmetric around 0."""
    rows, columns = cuts
    frame = EquationFrame(words, at[0] - rows.start, at[1] - columns.start, _HEIGHT)
    row_labels = ("query", tokens.query_labels(trace, site)[rows])
    column_labels = ("key", tokens.key_labels(trace, site)[columns])
    names = []
    for symbol, values, dead in (
        ("A'", comparison.after, comparison.dead_after),
        ("A", comparison.before, comparison.dead_before),
    ):
        shown, masked = values[:, columns].numpy(), dead[:, columns].numpy()
        labels = row_labels if symbol == "A'" else ("query", None)
        names.append(frame.matrix(symbol, shown, labels, column_labels, masked, scale=WEIGHTS))
        if symbol == "A'":
            frame.operator("−")
    frame.operator("=")
    change = comparison.change[:, columns].numpy()
    both = (comparison.dead_after & comparison.dead_before)[:, columns].numpy()
    scale = shared_scale([np.where(both, 0, change)])
    name = frame.matrix("Δ", change, ("query", None), column_labels, both, result=True, scale=scale)
    frame.link = {"kind": "elementwise", "operands": names, "result": name}
    return frame.frame()


def heads_frame(
    trace: Trace, site: Site, heads: Sequence[np.ndarray], dead: np.ndarray, cuts: tuple[slice, slice],
    at: tuple[int, int], words: dict[str, str],
) -> bytes:  # fmt: skip
    """The weights of each head of a site, rows already cut, on one scale from 0 to 1; the first 16 of more."""
    rows, columns = cuts
    frame = EquationFrame(words, at[0] - rows.start, at[1] - columns.start, 110)
    for index, weights in enumerate(heads[:_HEADS]):
        if index:
            frame.operator(";")
        labels = ("query", tokens.query_labels(trace, site)[rows])
        names = ("key", tokens.key_labels(trace, site)[columns])
        frame.matrix(f"A_{index}", weights[:, columns], labels, names, dead[:, columns], scale=WEIGHTS)
    return frame.frame()


def picture(
    comparison: Comparison, rows: Sequence[str], columns: Sequence[str], titles: tuple[str, str]
) -> alt.HConcatChart:
    """The same three matrices as a figure for a file; `titles` name the axes."""
    charts = []
    for name, values, dead in (
        ("A", comparison.before, comparison.dead_before),
        ("A′", comparison.after, comparison.dead_after),
    ):
        charts.append(static_chart.heat_map(values.numpy(), rows, columns, 0, 1, ~dead.numpy(), (*titles, name)))
    change = comparison.change.numpy()
    high = float(np.abs(change).max()) or 1.0
    both = ~(comparison.dead_after & comparison.dead_before).numpy()
    charts.append(static_chart.heat_map(change, rows, columns, -high, high, both, (*titles, "A′ − A")))
    return alt.hconcat(*charts).resolve_scale(color="independent")


def bars(comparison: Comparison, row: int, columns: Sequence[str], words: dict[str, str]) -> alt.Chart:
    """The weights of one row, recorded and under the variant, from 0 to 1; of more than `_KEYS` keys the strongest of either,
    in reading order, and the sum of the others."""
    names = [words["recorded"], words["variant"]]
    pair = [values[row].double().numpy() for values in (comparison.before, comparison.after)]
    shown, texts = np.arange(len(columns)), list(columns)
    if len(columns) > _KEYS:
        shown = np.sort(np.argsort(-np.maximum(*pair), kind="stable")[:_STRONGEST])
        texts = [*(f"{j}: {columns[j]}" for j in shown), f"+ {len(columns) - _STRONGEST:,}"]
        pair = [np.append(values[shown], values.sum() - values[shown].sum()) for values in pair]
    parts = [
        pd.DataFrame({"key": range(len(texts)), "weight": values, "line": name})
        for name, values in zip(names, pair, strict=True)
    ]
    return _bars(pd.concat(parts), texts, names, words)


def _bars(table: pd.DataFrame, columns: Sequence[str], names: list[str], words: dict[str, str]) -> alt.Chart:
    colour = alt.Color("line:N", title=None, sort=names, scale=alt.Scale(domain=names, range=list(palette.PAIR)),
                       legend=alt.Legend(orient="top"))  # fmt: skip
    label = alt.Axis(title=words["key"], labelExpr=static_chart._label("datum.value < {n} ? {texts}[datum.value] : ''", columns),
                     labelOverlap=False, labelAngle=0 if max(map(len, columns), default=0) <= 6 else -50)  # fmt: skip
    return (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=alt.X("key:O", axis=label),
            xOffset=alt.XOffset("line:N", sort=names),
            y=alt.Y("weight:Q", title=words["weight"], scale=alt.Scale(domain=[0, 1])),
            color=colour,
            tooltip=["line:N", "key:O", alt.Tooltip("weight:Q", format=".4f")],
        )
        .properties(height=260, description=words["alt"])
    )


def saturation_row(saturation: Saturation, words: dict[str, str]) -> alt.Chart:
    """The weights of one row of the random numbers, unscaled and scaled."""
    names = [words["unscaled"], words["scaled"]]
    parts = [
        pd.DataFrame({"key": range(len(values)), "weight": values.numpy(), "line": name})
        for name, values in zip(names, saturation.rows, strict=True)
    ]
    return _bars(pd.concat(parts), [str(j) for j in range(len(saturation.rows[0]))], names, words)


def saturation_curves(runs: Sequence[Saturation], d_k: int, words: dict[str, str]) -> list[alt.LayerChart]:
    """Variance, largest weight and entropy over d_k, unscaled and scaled, a chart each; the chosen d_k is ruled."""
    names = [words["unscaled"], words["scaled"]]
    rows = [
        {
            "d_k": one.d_k,
            "line": name,
            "variance": one.variance / (one.d_k if i else 1),
            "largest": one.largest[i],
            "entropy": one.entropy[i],
        }
        for one in runs
        for i, name in enumerate(names)
    ]
    base = alt.Chart(pd.DataFrame(rows))
    x = alt.X("d_k:Q", title="d_k", scale=alt.Scale(type="log", base=2), axis=alt.Axis(tickCount=5))
    colour = alt.Color("line:N", title=None, sort=names, scale=alt.Scale(domain=names, range=list(palette.PAIR)),
                       legend=alt.Legend(orient="top"))  # fmt: skip
    charts = []
    for field, top in (("variance", None), ("largest", 1.0), ("entropy", None)):
        scale = alt.Scale(domain=[0, top]) if top else alt.Scale(type="log" if field == "variance" else "linear")
        line = base.mark_line(point=True).encode(
            x=x, y=alt.Y(f"{field}:Q", title=words[field], scale=scale, axis=alt.Axis(tickCount=4)), color=colour,
            tooltip=["line:N", "d_k:Q", alt.Tooltip(f"{field}:Q", format=".4f")],
        )  # fmt: skip
        rule = alt.Chart(pd.DataFrame({"d_k": [d_k]})).mark_rule(strokeDash=[3, 3], color="#888888").encode(x="d_k:Q")
        description = f"{words['alt']} {words[field]}"
        charts.append(alt.layer(line, rule, width=310, height=270, description=description))
    return charts


def beside(charts: Sequence[alt.LayerChart]) -> alt.HConcatChart:
    """Charts in a row, as a figure for a file."""
    return alt.hconcat(*charts)
