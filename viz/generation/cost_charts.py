"""Charts of the next token under temperature, top-k and top-p, and of what a cache of keys and values saves."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from viz.generation.charts import CHOSEN, FIT, GREY, PLAIN, Words, named


def cut_bars(
    names: Sequence[str], before: np.ndarray, after: np.ndarray, rest: tuple[str, float, float], words: Words,
    logarithmic: bool = False,
) -> alt.LayerChart:  # fmt: skip
    """A distribution before (broad, grey) and after a cut (narrow); a token that was cut has ✕ in its name.

    before, after: probabilities of the tokens `names`, [n] each; rest: the name of all others and their two masses.
    logarithmic: dots on a logarithmic scale, on which a bar would have no length; what is 0 has none.
    """
    gone = (np.asarray(before) > 0) & (np.asarray(after) == 0)
    labels = [f"{i + 1}. {name}{' ✕' if cut else ''}" for i, (name, cut) in enumerate(zip(names, gone, strict=True))]
    labels, kinds = [*labels, rest[0]], [words["before"], words["after"]]
    parts = [(kinds[0], [*before, rest[1]]), (kinds[1], [*after, rest[2]])]
    data = pd.concat([pd.DataFrame({"token": labels, "p": p, "kind": kind}) for kind, p in parts], ignore_index=True)
    colour = alt.Color("kind:N", title=None, sort=kinds, scale=alt.Scale(domain=kinds, range=[GREY, CHOSEN]),
                       legend=alt.Legend(orient="top", symbolOpacity=1))  # fmt: skip
    y = alt.Y("token:N", sort=labels, title=None, axis=named(170))
    scale = alt.Scale(type="log") if logarithmic else alt.Scale(domainMin=0)
    x = alt.X(
        "p:Q",
        title=words["probability"],
        axis=alt.Axis(tickCount=6, format=".0e" if logarithmic else "~g"),
        scale=scale,
    )
    layers = []
    for kind, large in zip(kinds, (True, False), strict=True):
        chart = alt.Chart(data[(data["kind"] == kind) & ((data["p"] > 0) | (not logarithmic))])
        if logarithmic:
            chart = chart.mark_point(filled=True, size=170 if large else 55, opacity=0.5 if large else 1.0)
        else:
            chart = chart.mark_bar(height=15 if large else 7, opacity=0.5 if large else 1.0)
        tips = ["token:N", "kind:N", alt.Tooltip("p:Q", format=".4g")]
        layers.append(chart.encode(x=x, y=y, color=colour, tooltip=tips))
    return alt.layer(*layers, height=20 * len(labels), autosize=FIT, description=words["alt"])


def cost_lines(steps: Sequence[tuple[int, int, int, int]], words: Words) -> alt.Chart:
    """Multiply–accumulates of each step, without and with a cache."""
    kinds = [words["without"], words["with"]]
    rows = [{"step": i + 1, "n": n, "kind": kind, "macs": macs} for i, (n, *both, _) in enumerate(steps)
            for kind, macs in zip(kinds, both, strict=True)]  # fmt: skip
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=26) if len(steps) <= 40 else False)
        .encode(
            x=alt.X("step:Q", title=words["step"], scale=alt.Scale(nice=False, zero=False),
                    axis=alt.Axis(format="d", grid=False, tickMinStep=1)),
            y=alt.Y("macs:Q", title=words["macs"], axis=alt.Axis(format="~s", tickCount=5)),
            color=alt.Color("kind:N", title=None, sort=kinds, legend=alt.Legend(orient="top", labelLimit=260),
                            scale=alt.Scale(domain=kinds, range=[CHOSEN, PLAIN])),
            tooltip=["step:Q", alt.Tooltip("n:Q", title=words["standing"]), "kind:N", alt.Tooltip("macs:Q", format=",")],
        )
        .properties(height=240, autosize=FIT, description=words["alt"])
    )  # fmt: skip


def byte_line(steps: Sequence[tuple[int, int, int, int]], words: Words) -> alt.Chart:
    """How large the cache is after each step."""
    data = pd.DataFrame([{"step": i + 1, "bytes": size} for i, (*_, size) in enumerate(steps)])
    return (
        alt.Chart(data)
        .mark_area(color=PLAIN, opacity=0.35, line={"color": PLAIN})
        .encode(
            x=alt.X(
                "step:Q",
                title=words["step"],
                scale=alt.Scale(nice=False, zero=False),
                axis=alt.Axis(format="d", grid=False, tickMinStep=1),
            ),
            y=alt.Y("bytes:Q", title=words["bytes"], axis=alt.Axis(format="~s", tickCount=4)),
            tooltip=["step:Q", alt.Tooltip("bytes:Q", format=",")],
        )
        .properties(height=150, autosize=FIT, description=words["alt_bytes"])
    )
