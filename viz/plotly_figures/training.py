"""A training as it goes on: loss, perplexity, quality, learning rate and gradient norm over the steps, on one axis of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from model.training.run_files.curves import Curve
from viz.base import palette
from viz.plotly_figures import style

# Panel -> the quantities of the log that it shows; those that none names are shares of the task's own, with the quality.
PANELS: Mapping[str, tuple[str, ...]] = {
    "loss": ("loss", "validation_loss"), "perplexity": ("perplexity",),
    "quality": ("exact_match", "accuracy", "bleu", "chrf"), "learning_rate": ("learning_rate",),
    "gradient_norm": ("gradient_norm",),
}  # fmt: skip
LOGARITHMIC = ("loss", "perplexity")
_PERCENT = ("bleu", "chrf")  # from 0 to 100 as sacrebleu gives them; the shares of the panel are drawn so too
_HEIGHT, _GAP, _FOOT = 148, 40, 46  # px: of a panel, above it for its name, below the last for the steps


def panels_of(quantities: Sequence[str]) -> dict[str, list[str]]:
    """Panel -> its quantities, of those that a log has; a panel without any is left out."""
    named = {name for names in PANELS.values() for name in names}
    own = [name for name in quantities if name not in named]
    found = {panel: [name for name in names if name in quantities] for panel, names in PANELS.items()}
    found["quality"] += own
    return {panel: names for panel, names in found.items() if names}


def training_figure(
    curves: Mapping[str, Curve], guess: float | None, words: Mapping[str, str], theme: str, revision: str
) -> go.Figure:  # fmt: skip
    """A panel below the other, with one hover over all of them.

    curves: by the names of the log. guess: ln |V|, the loss of an even guess, drawn in the panel of the losses. words: a name
    for each quantity and panel, "step" and "guess". revision: while it is the same, a zoom stays as it is.
    """
    panels = panels_of(list(curves))
    height = len(panels) * (_HEIGHT + _GAP) + _FOOT
    figure = go.Figure()
    for number, (panel, names) in enumerate(panels.items()):
        top = 1 - (number * (_HEIGHT + _GAP) + _GAP) / (height - _FOOT)
        bottom = top - _HEIGHT / (height - _FOOT)
        axis = "y" if number == 0 else f"y{number + 1}"
        keys = []
        for place, name in enumerate(names):
            colour = palette.HEADS[place % len(palette.HEADS)] if len(names) > 1 else _single(theme)
            colour = _seen(colour, theme)
            for part in _lines(curves[name], words.get(name, name), colour, axis, name):
                figure.add_trace(part)
            keys.append(f"<span style='color:{colour}'>━ {escape(words.get(name, name))}</span>")
        if panel == "loss" and guess is not None:
            figure.add_hline(y=guess, yref=axis, line={"dash": "dot", "width": 1.2, "color": style.QUIET[theme]})
            keys.append(f"<span style='color:{style.QUIET[theme]}'>┄ {escape(words['guess'])}</span>")
        named = "   ".join(keys) if len(keys) > 1 or panel == "quality" else ""
        figure.add_annotation(
            text=f"<b>{escape(words[f'panel_{panel}'])}</b>   {named}", x=0, xref="paper", xanchor="left", y=top, yref="paper",
            yanchor="bottom", yshift=5, showarrow=False, font={"size": 12}, align="left",
        )  # fmt: skip
        figure.update_layout({f"yaxis{axis[1:]}": _y_axis(panel, (bottom, top), theme)})
    figure.update_layout(
        style.layout(theme, None, height, margin={"l": 62, "r": 16, "t": 0, "b": _FOOT}),
        hovermode="x unified", hoversubplots="axis", showlegend=False, uirevision=revision, dragmode="zoom",
        xaxis=_x_axis(words["step"], "y" if len(panels) < 2 else f"y{len(panels)}", theme),
    )  # fmt: skip
    return figure


def _single(theme: str) -> str:
    return palette.THEMES[theme]["accent"]


def _seen(colour: str, theme: str) -> str:
    """The two blues of the scale of heads are too dark on the dark page."""
    return {"#0072b2": "#56b4e9", "#a0341f": "#ff8a65"}.get(colour, colour) if theme == "dark" else colour


def _lines(curve: Curve, name: str, colour: str, axis: str, quantity: str) -> list[go.Scatter]:
    """The curve and, of several seeds, the band from the least to the largest."""
    factor = 1.0 if quantity in PANELS["loss"] + ("perplexity", "learning_rate", "gradient_norm") + _PERCENT else 100.0
    shared: dict[str, Any] = {"x": list(curve.steps), "xaxis": "x", "yaxis": axis}
    few = len(curve.steps) <= 60
    found = [
        go.Scatter(
            **shared, y=[value * factor for value in curve.values], name=name, uid=quantity,
            mode="lines+markers" if few and quantity != "loss" else "lines", marker={"size": 4},
            line={"color": colour, "width": 1.2 if quantity == "loss" else 1.8}, hovertemplate="%{y:.4~g}",
        )
    ]  # fmt: skip
    if curve.low is not None and curve.high is not None:
        edge = {"line": {"width": 0}, "hoverinfo": "skip", "mode": "lines", "showlegend": False}
        found[:0] = [
            go.Scatter(**shared, y=[value * factor for value in curve.low], uid=f"{quantity}-low", **edge),
            go.Scatter(**shared, y=[value * factor for value in curve.high], uid=f"{quantity}-high", fill="tonexty",
                       fillcolor=_faint(colour), **edge),
        ]  # fmt: skip
    return found


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def _y_axis(panel: str, domain: tuple[float, float], theme: str) -> dict[str, Any]:
    kind = (
        {"type": "log", "dtick": "D2", "exponentformat": "power"} if panel in LOGARITHMIC else {"rangemode": "tozero"}
    )
    return {
        "domain": [max(0.0, domain[0]), min(1.0, domain[1])], "anchor": "x", "gridcolor": style.GRID[theme], "nticks": 5,
        "zeroline": False, "tickfont": {"size": 11, "color": style.QUIET[theme]}, "automargin": False, **kind,
    }  # fmt: skip


def _x_axis(name: str, anchor: str, theme: str) -> dict[str, Any]:
    return {
        "anchor": anchor, "title": {"text": name, "font": {"size": 12}, "standoff": 6}, "gridcolor": style.GRID[theme],
        "zeroline": False, "tickfont": {"size": 11, "color": style.QUIET[theme]}, "rangemode": "tozero", "nticks": 8,
        "tickformat": ",d", "unifiedhovertitle": {"text": f"{name} %{{x:,d}}"},
    }  # fmt: skip
