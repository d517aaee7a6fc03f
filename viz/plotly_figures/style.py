"""How a figure of plotly looks: the app's fonts and colours on the light and the dark page, and a title that says the check."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from model.errors import UnknownOption
from viz.base import palette
from viz.base.check_note import CheckNote

FONT = '"Source Sans", "Source Sans Pro", sans-serif'
MONO = '"Source Code", "Source Code Pro", monospace'
# What need not be read first, and what fails; 4.5 : 1 and more on their page.
QUIET = {"light": palette.QUIET, "dark": "#a3a5b3"}
FAILS = {"light": palette.ERROR, "dark": "#ff8a80"}
GRID = {"light": "#dcdce4", "dark": "#3a3e4c"}
# Of masked cells: no colour of the scale of weights, which has a hue from its second step on.
MASKED = {"light": "#d9d9dc", "dark": "#3b3c40"}
_STEPS = 32
NAME = 52  # px of the small print above a figure in a page
TITLE = 86  # px above the figure that a title of two lines takes


def known(theme: str) -> str:
    """`theme`, which is "light" or "dark". Raises UnknownOption."""
    if theme not in palette.THEMES:
        raise UnknownOption(what="Theme", got=theme, allowed=", ".join(palette.THEMES))
    return theme


def colours(theme: str, kind: str = "sequential") -> list[list[float | str]]:
    """A scale of viz/base/palette.py as plotly takes it, "sequential" from the page's own colour or "diverging"."""
    table = palette.sequential(theme) if kind == "sequential" else palette.diverging(theme)
    places = [round(i * (len(table) - 1) / _STEPS) for i in range(_STEPS + 1)]
    return [[place / (len(table) - 1), table[place]] for place in places]


def colour_bar(title: str, **more: Any) -> dict[str, Any]:
    """A slim legend of the colours."""
    named = {"text": title, "side": "right", "font": {"size": 12}}
    return {"title": named, "tickfont": {"size": 11}, "thickness": 10, "outlinewidth": 0, "ticks": "", **more}


def layout(theme: str, width: float | None = None, height: float | None = None, **more: Any) -> go.Layout:
    """Page, ink and fonts; nothing that moves by itself. width, height: px, None for as wide as there is room."""
    page = palette.THEMES[known(theme)]
    hover = {"bgcolor": page["background"], "bordercolor": GRID[theme], "font": {"color": page["text"], "family": MONO}}
    return go.Layout(
        template="none", width=width, height=height, paper_bgcolor=page["background"], plot_bgcolor=page["background"],
        font={"family": FONT, "size": 13, "color": page["text"]}, hoverlabel=hover, **more,
    )  # fmt: skip


def title(said: str, check: CheckNote | None, theme: str, note: str = "") -> dict[str, Any]:
    """The name of a figure, and below it how it checks (red where it fails) and what was left out of it."""
    parts = [
        f"<span style='color:{FAILS[theme] if part.holds is False else QUIET[theme]}'>{escape(part.said)}</span>"
        for part in (check.parts if check is not None else ())
    ]
    below = " · ".join([*parts, *([escape(note)] if note else [])])
    return {
        "text": escape(said), "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 16, "t": 14}, "y": 1,
        "yanchor": "top", "font": {"size": 17}, "subtitle": {"text": below, "font": {"size": 12, "color": QUIET[theme]}},
    }  # fmt: skip


def named(figure: go.Figure, said: str, check: CheckNote | None, theme: str) -> go.Figure:
    """The figure with its name and its check above it, in small print: what a file of it has to say without a page around it."""
    told = title(said, check, theme)
    told |= {"font": {"size": 13}, "pad": {"l": 4, "t": 8}}
    height, top = figure.layout.height, figure.layout.margin.t or 0
    bar = {"bgcolor": "rgba(0,0,0,0)", "color": QUIET[theme], "activecolor": palette.THEMES[theme]["text"]}
    figure.update_layout(title=told, margin={"t": top + NAME}, modebar=bar)
    return figure if height is None else figure.update_layout(height=height + NAME)


def scene(
    names: Sequence[str], theme: str, sides: dict[str, float] | None = None, eye: dict[str, float] | None = None
) -> dict[str, Any]:
    """A space to turn. names: of x, y and z. sides: how long its sides are, a cube unless told. eye: where one looks from."""
    axis = {
        "showbackground": False, "gridcolor": GRID[theme], "zerolinecolor": GRID[theme], "showspikes": False,
        "tickfont": {"size": 10, "color": QUIET[theme]}, "nticks": 5, "linecolor": GRID[theme],
    }  # fmt: skip
    axes = {
        f"{side}axis": axis | {"title": {"text": name, "font": {"size": 12}}}
        for side, name in zip("xyz", names, strict=True)
    }
    shape = {"aspectmode": "cube"} if sides is None else {"aspectmode": "manual", "aspectratio": sides}
    return {
        "camera": {"center": {"x": 0, "y": 0, "z": -0.12}, "eye": eye or {"x": 1.3, "y": 1.17, "z": 0.65}},
        **shape,
        **axes,
    }


def thinned(labels: list[str], room: float, size: float = 12.0, across: bool = True) -> tuple[list[int], list[str]]:
    """(places, texts) of the labels that fit upright along `room` px without touching; the first always does.

    across: along the width, where a label takes its length; else along the height, where it takes a line.
    """
    longest = length(labels, size) + 4 if across else 1.25 * size
    step = max(1, -(-int(longest * len(labels)) // max(1, int(room))))
    places = list(range(0, len(labels), step))
    return places, [escape(labels[place], quote=False) for place in places]


def length(labels: list[str], size: float = 12.0) -> float:
    """px that the longest of these takes in the face of tokens."""
    return max((letters(label) for label in labels), default=1.0) * 0.62 * size


def in_space(label: str) -> str:
    """A label among the points of a space, where plotly knows tags and no entities: a joiner of no width keeps "<b>" no tag."""
    return label.replace("<", "<\u2060")


def letters(text: str) -> float:
    """Length in letters; a letter of Chinese, Japanese or Korean is as wide as 1.7 others."""
    return sum(1.7 if ord(letter) > 0x2E7F else 1.0 for letter in text)
