"""Losses over the steps of a training, as Altair charts."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from viz.base import palette

_POINTS = 40  # steps that are marked one by one


def loss_curve(curve: list[list[float]], columns: list[str], words: dict[str, str]) -> alt.Chart:
    """Training and validation loss over the steps, on a logarithmic scale; `words` names step, loss and the two lines."""
    table = pd.DataFrame(curve, columns=columns).rename(
        columns={"train_loss": words["training"], "validation_loss": words["validation"]}
    )
    names = [words["training"], words["validation"]]
    long = table.melt("step", names, var_name="line", value_name="loss").dropna()
    return (
        alt.Chart(long)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title=words["step"]),
            y=alt.Y(
                "loss:Q", title=words["loss"], scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=4, format="~g")
            ),
            color=alt.Color("line:N", title=None, sort=names, legend=alt.Legend(orient="top")),
            strokeDash=alt.StrokeDash("line:N", title=None, sort=names, legend=alt.Legend(orient="top")),
            tooltip=["step:Q", "line:N", alt.Tooltip("loss:Q", format=".4f")],
        )
        .properties(height=240)
    )


def step_losses(losses: Sequence[float], words: dict[str, str], theme: str = "light") -> alt.Chart:
    """The loss of each step, from step 1; `words` names step and loss."""
    table = pd.DataFrame({"step": range(1, len(losses) + 1), "loss": losses})
    colour = palette.THEMES[theme]["accent"]
    points = alt.OverlayMarkDef(color=colour, size=24) if len(losses) <= _POINTS else False
    return (
        alt.Chart(table)
        .mark_line(strokeWidth=2, point=points, color=colour)
        .encode(
            x=alt.X("step:Q", title=words["step"], axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("loss:Q", title=words["loss"], scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4)),
            tooltip=["step:Q", alt.Tooltip("loss:Q", format=".4g")],
        )
        .properties(height=200)
    )


def rate_curve(rates: Sequence[float], steps: Sequence[int], words: dict[str, str], theme: str = "light") -> alt.Chart:
    """The learning rate at some steps; `words` names step and rate."""
    table = pd.DataFrame({"step": steps, "rate": rates})
    return (
        alt.Chart(table)
        .mark_line(strokeWidth=2, color=palette.THEMES[theme]["accent"])
        .encode(
            x=alt.X("step:Q", title=words["step"], axis=alt.Axis(format=",d", tickMinStep=1, tickCount=6)),
            y=alt.Y("rate:Q", title=words["rate"], scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4, format="~g")),
            tooltip=[alt.Tooltip("step:Q", format=",d"), alt.Tooltip("rate:Q", format=".4g")],
        )
        .properties(height=180)
    )
