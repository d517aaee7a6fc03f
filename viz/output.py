"""The next token's probabilities as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.generation.temperature import Tempered

_PAIR = ("#767676", "#0072b2")  # grey for the model's own, and a colour of Okabe & Ito


def table(tempered: Tempered, names: Sequence[str]) -> pd.DataFrame:
    """A row a candidate: rank, token, id, logit, p at T = 1, and between which numbers p at T lies."""
    return pd.DataFrame(
        {
            "rank": range(1, len(names) + 1),
            "token": list(names),
            "id": tempered.ids.numpy(),
            "logit": tempered.logits.numpy(),
            "p": tempered.plain.numpy(),
            "p_T_low": tempered.low.numpy(),
            "p_T_high": tempered.high.numpy(),
        }
    )


def saved(candidates: pd.DataFrame, temperature: float, exact: bool) -> pd.DataFrame:
    """The table for a file: one column at the temperature where it is known, its two bounds where only those are."""
    at = f"p at T={temperature:g}"
    if exact:
        return candidates.rename(columns={"p_T_low": at}).drop(columns="p_T_high")
    return candidates.rename(columns={"p_T_low": f"{at}, at least", "p_T_high": f"{at}, at most"})


def bars(candidates: pd.DataFrame, temperature: float, words: dict[str, str]) -> alt.LayerChart:
    """Every candidate's probability at T = 1 and at T, on a scale from 0 to 1; a range is drawn as one."""
    lines = ["T = 1", f"T = {temperature:g}"]
    parts = [candidates.assign(line=lines[0], low=candidates["p"], high=candidates["p"])]
    if temperature != 1:
        parts.append(candidates.assign(line=lines[1], low=candidates["p_T_low"], high=candidates["p_T_high"]))
    long = pd.concat(parts)
    # Tokens repeat (" a" and "a"), so the rank keeps two of them apart.
    long["name"] = long["rank"].astype(str) + "  " + long["token"]
    order = list(dict.fromkeys(long["name"]))
    base = alt.Chart(long).encode(
        y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False, labelFlush=False)),
        yOffset=alt.YOffset("line:N", sort=lines),
        color=alt.Color("line:N", title=None, sort=lines, scale=alt.Scale(domain=lines[: len(parts)], range=list(_PAIR)),
                        legend=alt.Legend(orient="top")),
        tooltip=["token:N", "id:Q", alt.Tooltip("logit:Q", format=".4f"), "line:N", alt.Tooltip("low:Q", format=".6f"),
                 alt.Tooltip("high:Q", format=".6f")],
    )  # fmt: skip
    scale = alt.Scale(domain=[0, 1])
    bar = base.mark_bar(height={"band": 0.85}).encode(x=alt.X("low:Q", title=words["probability"], scale=scale))
    reach = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    return alt.layer(bar, reach, width=560, height=alt.Step(15), description=words["alt"])
