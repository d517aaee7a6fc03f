"""Tokens coloured by their loss, as HTML that wraps, with the legend of the colours; and the same for a file, as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np

from viz.base import numbers, palette, tokens

_TOKEN = (
    "display:inline-block;font-family:ui-monospace,monospace;font-size:14px;line-height:22px;padding:1px 5px;margin:1px;"
    "border-radius:4px;white-space:pre;max-width:100%;overflow-wrap:anywhere"
)
_RIM = "box-shadow:inset 0 0 0 1px color-mix(in srgb,currentColor 14%,transparent)"
_WRONG = "text-decoration:underline wavy;text-underline-offset:3px"
_STOPS = 12


def colours_of(losses: Sequence[float], end: float, theme: str) -> list[str]:
    """The colour of each loss: 0 is the page, `end` and more the darkest."""
    scale = palette.sequential(theme)
    shares = (
        np.clip(np.nan_to_num(np.asarray(losses, float) / end, nan=0.0), 0.0, 1.0) if end > 0 else np.zeros(len(losses))
    )
    return [scale[round(float(share) * (len(scale) - 1))] for share in shares]


def loss_text(
    names: Sequence[str], losses: Sequence[float], right: Sequence[bool], end: float, theme: str, tip: str
) -> str:  # fmt: skip
    """names, losses (nats) and right: of each token. tip: what hovering says, with {loss} and {p} to fill in.

    A token that was not the most probable one is underlined.
    """
    pieces = []
    for name, loss, hit, colour in zip(names, losses, right, colours_of(losses, end, theme), strict=True):
        shown = tokens.label(name, tokens.looks_special(name))["text"]
        said = html.escape(tip.format(loss=numbers.short(loss, 4), p=numbers.short(math.exp(-loss), 3)), quote=True)
        style = f"{_TOKEN};{_RIM};background:{colour};color:{palette.ink(colour)}" + ("" if hit else f";{_WRONG}")
        pieces.append(f'<span title="{said}" style="{style}">{html.escape(shown)}</span>')
    return f'<div dir="auto">{"".join(pieces)}</div>'


def legend(end: float, theme: str, low: str, high: str) -> str:
    """A bar of the colours from 0 to `end`, with a word at each end."""
    scale = palette.sequential(theme)
    stops = ",".join(scale[round(i / (_STOPS - 1) * (len(scale) - 1))] for i in range(_STOPS))
    bar = f"display:inline-block;width:160px;height:10px;border-radius:5px;background:linear-gradient(90deg,{stops});{_RIM}"
    line = "display:flex;flex-wrap:wrap;gap:8px;align-items:center;font-size:14px;opacity:.85"
    return f'<div style="{line}"><span>{html.escape(low)}</span><span style="{bar}"></span><span>{html.escape(high)}</span></div>'
