"""A training as it goes on: loss, perplexity, quality, learning rate and gradient norm over the steps, on one axis of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

import numpy as np

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
# Shares are drawn from 0 to 100, as sacrebleu gives its scores.
_AS_THEY_ARE = ("loss", "validation_loss", "perplexity", "bleu", "chrf", "learning_rate", "gradient_norm")
_HEIGHT, _GAP, _TOP, _FOOT = 148, 40, 8, 46  # px: of a panel, between two for a name, above the first, below the last
_SIDE = {"l": 62, "r": 16}


def panels_of(quantities: Sequence[str]) -> dict[str, list[str]]:
    """Panel -> its quantities, of those that a log has; a panel without any is left out."""
    named = {name for names in PANELS.values() for name in names}
    own = [name for name in quantities if name not in named]
    found = {panel: [name for name in names if name in quantities] for panel, names in PANELS.items()}
    found["quality"] += own
    return {panel: names for panel, names in found.items() if names}


def training_figure(
    curves: Mapping[str, Curve], guess: float | None, words: Mapping[str, str], theme: str, said: str, revision: str
) -> dict[str, Any]:  # fmt: skip
    """A panel below the other, with one hover over all of them -> {"data", "layout"}, which `go.Figure` takes.

    Made of plain values, because it is made anew every second: plotly's own classes take ten times as long.

    curves: by the names of the log. guess: ln |V|, the loss of an even guess, drawn in the panel of the losses. words: a name
    for each quantity and panel, "step" and "guess". said: what it is of, written on it. revision: while it is the same, a zoom
    stays as it is.
    """
    panels = panels_of(list(curves))
    drawn = len(panels) * (_HEIGHT + _GAP) - _GAP + _TOP
    layout = _frame(theme, drawn + _FOOT, said) | {"uirevision": revision, "shapes": [], "annotations": []}
    data: list[dict[str, Any]] = []
    shared = curves.get("loss", Curve((), ())).steps
    for number, (panel, names) in enumerate(panels.items()):
        top = 1 - (number * (_HEIGHT + _GAP) + _TOP) / drawn
        axis = "y" if number == 0 else f"y{number + 1}"
        keys = []
        for place, name in enumerate(names):
            colour = _colour(place, len(names), theme)
            data += _lines(curves[name], words.get(name, name), colour, axis, name, shared)
            keys.append(f"<span style='color:{colour}'>━ {escape(words.get(name, name))}</span>")
        if panel == "loss" and guess is not None:
            line = {"dash": "dot", "width": 1.2, "color": style.QUIET[theme]}
            ends = {"x0": 0, "x1": 1, "xref": "paper", "y0": guess, "y1": guess, "yref": axis}
            layout["shapes"].append({"type": "line", "line": line, **ends})
            keys.append(f"<span style='color:{style.QUIET[theme]}'>┄ {escape(words['guess'])}</span>")
        named = "   ".join(keys) if len(keys) > 1 or panel == "quality" else ""
        layout["annotations"].append(
            {"text": f"<b>{escape(words[f'panel_{panel}'])}</b>   {named}", "x": 0, "xref": "paper", "xanchor": "left",
             "y": top, "yref": "paper", "yanchor": "bottom", "yshift": 5, "showarrow": False, "font": {"size": 12}}
        )  # fmt: skip
        layout[f"yaxis{axis[1:]}"] = _y_axis(panel, (top - _HEIGHT / drawn, top), theme) | _ticks(
            panel, names, curves, guess
        )
        layout["xaxis"] = _x_axis(words["step"], axis, theme)
    return {"data": data, "layout": layout}


@cache
def _plain(theme: str) -> dict[str, Any]:
    return style.layout(theme).to_plotly_json()


def _frame(theme: str, height: float, said: str) -> dict[str, Any]:
    """Page, fonts and the small print above, as `style.named` writes it."""
    name = style.title(said, None, theme) | {"font": {"size": 13}, "pad": {"l": 4, "t": 8}}
    bar = {"bgcolor": "rgba(0,0,0,0)", "color": style.QUIET[theme], "activecolor": palette.THEMES[theme]["text"]}
    return _plain(theme) | {
        "title": name, "modebar": bar, "margin": _SIDE | {"t": style.NAME, "b": _FOOT}, "height": height + style.NAME,
        "hovermode": "x unified", "hoversubplots": "axis", "showlegend": False, "dragmode": "zoom",
    }  # fmt: skip


def _colour(place: int, of: int, theme: str) -> str:
    """Of several curves in a panel the scale of the heads, whose two dark ones cannot be seen on the dark page."""
    if of == 1:
        return palette.THEMES[theme]["accent"]
    colour = palette.HEADS[place % len(palette.HEADS)]
    return {"#0072b2": "#56b4e9", "#a0341f": "#ff8a65"}.get(colour, colour) if theme == "dark" else colour


def _lines(
    curve: Curve, name: str, colour: str, axis: str, quantity: str, steps: Sequence[int]
) -> list[dict[str, Any]]:
    """The curve and, of several seeds, the band from the least to the largest.

    steps: those of the losses; of what is measured at fewer of them a line that nobody sees has the last value at each,
    so that one hover has all curves at every step.
    """
    factor = 100.0 if quantity not in _AS_THEY_ARE else 1.0
    values = [value * factor for value in curve.values]
    place: dict[str, Any] = {"xaxis": "x", "yaxis": axis}
    sparse = len(curve.steps) < len(steps)
    found: list[dict[str, Any]] = [
        {"type": "scatter", **place, "x": list(curve.steps), "y": values, "name": name, "meta": quantity,
         "mode": "lines+markers" if sparse and len(values) <= 60 else "lines", "marker": {"size": 4, "color": colour},
         "line": {"color": colour, "width": 1.2 if quantity == "loss" else 1.8},
         **({"hoverinfo": "skip"} if sparse else {"hovertemplate": "%{y:.4~g}"})}
    ]  # fmt: skip
    if sparse:
        found.append(_last_known(curve.steps, values, steps, name, colour) | place | {"meta": f"{quantity}-known"})
    if curve.low is not None and curve.high is not None:
        edge = {
            "type": "scatter",
            "x": list(curve.steps),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "mode": "lines",
            **place,
        }
        low, high = ([value * factor for value in end] for end in (curve.low, curve.high))
        found[:0] = [
            edge | {"y": low, "meta": f"{quantity}-low"},
            edge | {"y": high, "meta": f"{quantity}-high", "fill": "tonexty", "fillcolor": _faint(colour)},
        ]
    return found


def _last_known(
    measured: Sequence[int], values: Sequence[float], steps: Sequence[int], name: str, colour: str
) -> dict[str, Any]:  # fmt: skip
    """At every step what was measured last until then, and in brackets at which step."""
    at = np.searchsorted(np.asarray(measured), np.asarray(steps), side="right") - 1
    known = [i for i in range(len(steps)) if at[i] >= 0]
    return {
        "type": "scatter", "x": [steps[i] for i in known], "y": [values[at[i]] for i in known], "mode": "lines",
        "name": f"<span style='color:{colour}'>●</span> {name}", "line": {"color": colour, "width": 0},
        "customdata": [measured[at[i]] for i in known], "hovertemplate": "%{y:.4~g} (%{customdata:,d})",
    }  # fmt: skip


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def _ticks(panel: str, names: Sequence[str], curves: Mapping[str, Curve], guess: float | None) -> dict[str, Any]:
    """Of a logarithmic panel how far apart its labels are, so that none lies on its neighbour: powers of ten, 1–2–5, or even
    steps."""
    if panel not in LOGARITHMIC:
        return {}
    values = [
        value
        for name in names
        for value in (*curves[name].values, *(curves[name].low or ()), *(curves[name].high or ()))
    ]
    values = [value for value in [*values, *([guess] if panel == "loss" and guess else [])] if 0 < value < np.inf]
    if not values:
        return {}
    low, high = min(values), max(values)
    if high > 300 * low:
        return {"dtick": 1 + int(np.log10(high / low) / 6)}
    if high > 5 * low:
        return {"dtick": "D2"}
    step = (high - low) / 4
    nice = 10.0 ** np.floor(np.log10(step)) if step > 0 else 1.0
    return {"dtick": f"L{next(nice * each for each in (1, 2, 5, 10) if nice * each >= step):g}"}


def _y_axis(panel: str, domain: tuple[float, float], theme: str) -> dict[str, Any]:
    kind = (
        {"type": "log", "tickformat": "~g", "minor": {"ticks": ""}} if panel in LOGARITHMIC else {"rangemode": "tozero"}
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
