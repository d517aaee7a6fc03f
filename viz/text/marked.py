"""A text with one stretch of it marked, as HTML that wraps: the answer in its context."""

from __future__ import annotations

import html

from viz.base import palette
from viz.text.text import GAP, SPACE, Flow

_PAGE = (
    "font-size:16px;line-height:28px;overflow-wrap:anywhere;max-height:340px;overflow-y:auto;padding:14px 16px;"
    "border:1px solid color-mix(in srgb,currentColor 16%,transparent);border-radius:8px"
)
_SPECIAL = (
    "font-size:12px;padding:3px;border-radius:3px;opacity:.75;"
    "box-shadow:inset 0 0 0 1px color-mix(in srgb,currentColor 30%,transparent)"
)
_FAINT = "opacity:.6"
_SHADE = 170  # of 255: deep enough to be seen at once


def marked_text(flow: Flow, marked: range, faint: range, theme: str) -> str:
    """The tokens of `flow` one after the other; those of `marked` on a coloured ground, those of `faint` (a question) grey."""
    colour = palette.sequential(theme)[_SHADE]
    clone = "box-decoration-break:clone;-webkit-box-decoration-break:clone"  # rounded at every line's ends
    mark = f"background:{colour};color:{palette.ink(colour)};border-radius:3px;padding:3px 2px;{clone}"
    pieces: list[str] = []
    for i, text in enumerate(flow.texts):
        if i and flow.follows[i] in (GAP, SPACE):
            pieces.append(" ")
        if marked and i == marked.start:
            pieces.append(f'<mark style="{mark}">')
        shown = html.escape(text)
        style = _SPECIAL if flow.kinds[i] == "special" else _FAINT if i in faint else ""
        pieces.append(f'<span style="{style}">{shown}</span>' if style else shown)
        if marked and i == marked.stop - 1:
            pieces.append("</mark>")
        if i in flow.breaks:
            pieces.append("<br>")
    return f'<div dir="auto" style="{_PAGE}">{"".join(pieces)}</div>'
