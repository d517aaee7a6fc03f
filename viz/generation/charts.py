"""Charts of decoding: candidates for the next token, a row of attention, the tree of a beam search and its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import numbers, palette

if TYPE_CHECKING:
    from model.generation.beam import Beams

Words = dict[str, str]
# More keys than this are not drawn one by one: the heaviest are, and one bar for the rest.
MOST_KEYS, MOST_BARS, MOST_MARKS = 36, 200, 4_000
PLAIN, CHOSEN, GREY = palette.HEADS[0], palette.HEADS[5], "#8a8a8a"
STATUSES = ("runs", "finished", "limit", "pruned", "late", "caught")
_COLOURS = {
    "runs": PLAIN,
    "finished": CHOSEN,
    "limit": palette.HEADS[1],
    "pruned": GREY,
    "late": palette.HEADS[2],
    "caught": palette.HEADS[4],
}
COLUMN, ROW = 92, 44
# As wide as its column, and as high as its bars need, the axes not counted.
FIT = alt.AutoSizeParams(type="fit-x", contains="padding")


def named(limit: int) -> alt.Axis:
    """The axis of bars with names: every name beside its bar, also the first and the last."""
    return alt.Axis(ticks=False, domain=False, labelLimit=limit, labelOverlap=False, labelFlush=False, labelBound=False)


def candidates(
    names: Sequence[str], probabilities: Sequence[float], chosen: int | None, words: Words
) -> alt.LayerChart:
    """The likeliest tokens and their probabilities, best first; `chosen` is the place of the one that was written."""
    names = [f"{place + 1}. {name}" for place, name in enumerate(names)]
    kinds = [words["chosen"] if i == chosen else words["other"] for i in range(len(names))]
    data = pd.DataFrame({"token": names, "p": probabilities, "kind": kinds})
    data["shown"] = [numbers.short(p) for p in probabilities]
    domain = [words["chosen"], words["other"]]
    base = alt.Chart(data).encode(
        y=alt.Y("token:N", sort=names, title=None, axis=named(150)),
        x=alt.X("p:Q", title=words["probability"], scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)),
        tooltip=["token:N", alt.Tooltip("p:Q", format=".6f")],
    )
    colour = alt.Color("kind:N", title=None, scale=alt.Scale(domain=domain, range=[CHOSEN, PLAIN]),
                       legend=alt.Legend(orient="top"))  # fmt: skip
    bars = base.mark_bar(height=13).encode(color=colour)
    said = base.mark_text(align="left", dx=4, fontSize=11, color=GREY).encode(text="shown:N")
    return alt.layer(bars, said, height=21 * len(names), autosize=FIT, description=words["alt"])


def key_bars(texts: Sequence[str], weights: np.ndarray, words: Words, most: int = MOST_KEYS) -> alt.Chart:
    """One row of attention weights [k] as a bar a key, in reading order.

    Of many keys the heaviest and the rest as one; of hundreds (the moments of a sound) all as one line.
    """
    y = alt.Y("weight:Q", title=words["weight"], scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=4))
    if MOST_BARS < len(weights) <= MOST_MARKS:
        return _key_line(texts, weights, y, words)
    shown = np.arange(len(weights))
    if len(weights) > most:
        shown = np.sort(np.argsort(-weights, kind="stable")[:most])
    names = [f"{j}: {texts[j]}" for j in shown]
    values = weights[shown].tolist()
    if len(shown) < len(weights):
        names.append(words["rest"].format(n=len(weights) - len(shown)))
        values.append(float(weights.sum() - weights[shown].sum()))
    data = pd.DataFrame({"key": names, "weight": values})
    many = len(names) > 14
    axis = alt.Axis(labelAngle=-70 if many else -40, labelLimit=90, ticks=False, labelOverlap=False,
                    labelFontSize=9.5 if many else 11)  # fmt: skip
    return (
        alt.Chart(data)
        .mark_bar(color=PLAIN)
        .encode(
            x=alt.X("key:N", sort=names, title=words["key"], axis=axis),
            y=y,
            tooltip=["key:N", alt.Tooltip("weight:Q", format=".6f")],
        )
        .properties(height=130, autosize=FIT, description=words["alt"])
    )


def _key_line(texts: Sequence[str], weights: np.ndarray, y: alt.Y, words: Words) -> alt.Chart:
    """Every key, too many for a bar each; the scale ends at the largest weight."""
    data = pd.DataFrame({"place": range(len(weights)), "key": list(texts), "weight": weights})
    y.scale = alt.Scale(domain=[0, float(weights.max()) or 1.0])
    return (
        alt.Chart(data)
        .mark_area(color=PLAIN, opacity=0.5, line={"color": PLAIN, "strokeWidth": 1.2})
        .encode(
            x=alt.X(
                "place:Q", title=words["place"], scale=alt.Scale(nice=False), axis=alt.Axis(format="d", grid=False)
            ),
            y=y,
            tooltip=["place:Q", "key:N", alt.Tooltip("weight:Q", format=".6f")],
        )
        .properties(height=130, autosize=FIT, description=words["alt"])
    )


def tree(
    beams: Beams, texts: Sequence[Sequence[str]], selected: tuple[int, int], start: str, words: Words,
    theme: str = "light",
) -> alt.LayerChart:  # fmt: skip
    """Every hypothesis of a beam search: a column a step, best first from the top; lines go from parent to continuation.

    texts[t][i] is the token of hypothesis i of step t. The way to the `selected` one is drawn strong. A click selects
    (the point selection "node", field "id": "step-index").
    """
    way, at = set(), selected
    while at[1] >= 0:
        way.add(at)
        at = (at[0] - 1, beams.steps[at[0]][at[1]].parent)
    rows = [{"id": "", "step": 0, "place": 0.0, "token": start, "status": words["runs"], "total": 0.0, "under": "",
             "p": 1.0, "way": True, "solid": True, "what": start}]  # fmt: skip
    lines = []
    for t, step in enumerate(beams.steps):
        for i, one in enumerate(step):
            status = beams.status(t, i)
            solid, on = status in ("runs", "finished", "limit"), (t, i) in way
            text = words["between"].join(texts[s][j] for s, j in _ids(beams, t, i))
            rows.append({"id": f"{t}-{i}", "step": t + 1, "place": float(i), "token": texts[t][i], "p": np.exp(one.log_p),
                         "status": words[status], "total": one.total, "under": numbers.total(one.total), "way": on,
                         "solid": solid, "what": text})  # fmt: skip
            lines.append({"step": t, "place": float(max(0, one.parent)), "step2": t + 1, "place2": float(i), "way": on,
                          "solid": solid})  # fmt: skip
    return _drawn(pd.DataFrame(rows), pd.DataFrame(lines), beams, words, theme)


def _ids(beams: Beams, t: int, i: int) -> list[tuple[int, int]]:
    found = []
    while i >= 0:
        found.append((t, i))
        t, i = t - 1, beams.steps[t][i].parent
    return found[::-1]


def _drawn(rows: pd.DataFrame, lines: pd.DataFrame, beams: Beams, words: Words, theme: str) -> alt.LayerChart:
    deepest = max(len(step) for step in beams.steps)
    x = alt.X("step:Q", title=words["step"], scale=alt.Scale(domain=[-0.35, len(beams.steps) + 0.35], nice=False),
              axis=alt.Axis(values=list(range(len(beams.steps) + 1)), format="d", grid=False, orient="top"))  # fmt: skip
    y = alt.Y("place:Q", title=None, scale=alt.Scale(domain=[deepest - 0.3, -0.6], nice=False), axis=None)
    names = [words[status] for status in STATUSES]
    colour = alt.Color("status:N", title=None, sort=names, legend=alt.Legend(orient="bottom", columns=3, labelLimit=260),
                       scale=alt.Scale(domain=names, range=[_COLOURS[status] for status in STATUSES]))  # fmt: skip
    edges = alt.Chart(lines).mark_rule().encode(
        x=x, y=y, x2="step2:Q", y2="place2:Q",
        color=alt.condition("datum.way", alt.value(CHOSEN), alt.value(GREY)),
        strokeWidth=alt.condition("datum.way", alt.value(3.0), alt.value(1.0)),
        opacity=alt.condition("datum.way", alt.value(1.0), alt.value(0.4)),
    )  # fmt: skip
    click = alt.selection_point(name="node", fields=["id"], on="click", toggle=False, clear=False, empty=False)
    base = alt.Chart(rows).encode(x=x, y=y)
    tips = [alt.Tooltip("what:N", title=words["text"]), alt.Tooltip("p:Q", title="p", format=".4f"),
            alt.Tooltip("under:N", title="Σ log p"), alt.Tooltip("status:N", title=words["status"])]  # fmt: skip
    dots = base.mark_point(filled=True, opacity=1).encode(
        color=colour, tooltip=tips, size=alt.condition("datum.way", alt.value(190), alt.value(90))
    ).add_params(click)  # fmt: skip
    faint = alt.condition("datum.solid", alt.value(1.0), alt.value(0.6))
    ink = palette.THEMES[theme]["text"]
    above = base.mark_text(dy=-12, fontSize=12, limit=COLUMN - 8, color=ink)
    above = above.encode(text="token:N", opacity=faint, tooltip=tips)
    below = base.mark_text(dy=13, fontSize=9.5, color=GREY).encode(text="under:N", tooltip=tips)
    return alt.layer(
        edges,
        dots,
        above,
        below,
        width=COLUMN * (len(beams.steps) + 1),
        height=ROW * deepest + 20,
        autosize="pad",
        description=words["alt"],
    )


def score_formula(log_p: Sequence[float], total: float, alpha: float, score: float | None) -> str:
    """Σ log p of a text with its numbers and, where it finished, its score: the sum divided by length^α, as the search found
    both. The middle of a long sum stands as dots."""
    summed = numbers.tex(total, numbers.TOTAL)
    n, terms = len(log_p), [numbers.tex(value) for value in log_p]
    shown = terms if n <= 8 else [*terms[:4], r"\cdots", *terms[-3:]]
    joined = shown[0] + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in shown[1:])
    line = rf"\textstyle\sum_{{t=1}}^{{{n}}} \log p_t &= {joined} = {summed}"
    if score is None:
        return rf"\begin{{aligned}}{line}\end{{aligned}}"
    scored = numbers.tex(score, numbers.TOTAL)
    line_2 = rf"\text{{score}} &= \frac{{\sum \log p}}{{n^{{\alpha}}}} = \frac{{{summed}}}{{{n}^{{{alpha:g}}}}}"
    line_2 += rf" = \frac{{{summed}}}{{{numbers.tex(n**alpha, 4)}}} = {scored}"
    return rf"\begin{{aligned}}{line} \\[4pt] {line_2}\end{{aligned}}"


def stack(charts: Sequence[alt.Chart | alt.LayerChart]) -> alt.VConcatChart:
    """Charts below each other, for a file, where no column says how wide they are."""
    parts = []
    for chart in charts:
        part = chart.copy()
        part.autosize = alt.Undefined
        parts.append(part.properties(width=480))
    return alt.vconcat(*parts).resolve_scale(color="independent")
