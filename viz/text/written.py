"""What a model in training writes for the same sentences, beside what is wanted, with what changed since the last look marked."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from viz.base import palette

_CELL = (
    "padding:5px 14px 5px 0;vertical-align:top;border-bottom:1px solid color-mix(in srgb,currentColor 12%,transparent)"
)
_MONO = "font-family:ui-monospace,monospace;font-size:14px;overflow-wrap:anywhere;unicode-bidi:isolate"
_SHADE = 90  # of 255: seen, and the text on it read
_HEAD = "text-align:left;font-weight:600;font-size:13px;opacity:.75"


def pieces_of(text: str) -> list[str]:
    """Words where there are spaces, else characters: what is compared."""
    return text.split(" ") if " " in text else list(text)


def changed(before: str | None, now: str) -> list[tuple[str, bool]]:
    """The pieces of `now`, each with whether it is another than in `before`; of the first look nothing changed."""
    pieces = pieces_of(now)
    if before is None:
        return [(piece, False) for piece in pieces]
    # Cut as the text of now is: else a text that gained its first space would be new as a whole.
    old = before.split(" ") if " " in now else list(before)
    same: set[int] = set()
    for block in SequenceMatcher(None, old, pieces, autojunk=False).get_matching_blocks():
        same |= set(range(block.b, block.b + block.size))
    return [(piece, i not in same) for i, piece in enumerate(pieces)]


def table(
    probes: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]] | None, words: Mapping[str, str], theme: str
) -> str:  # fmt: skip
    """A row a sentence: what is given, what is wanted, what is written now; ✓ where that is what is wanted.

    before: the same sentences at the evaluation before. words: "given", "wanted", "wrote" and "changed", what hovering says.
    """
    colour = palette.sequential(theme)[_SHADE]
    mark = f'<mark title="{html.escape(words["changed"], quote=True)}" style="background:{colour};color:{palette.ink(colour)};'
    mark += 'border-radius:3px;padding:1px 0">'
    old = {one["given"]: one["written"] for one in before or ()}
    rows = []
    for one in probes:
        right = one["written"] == one["wanted"]
        gap = " " if " " in one["written"] else ""
        written = gap.join(
            f"{mark}{html.escape(piece)}</mark>" if new else html.escape(piece)
            for piece, new in changed(old.get(one["given"]), one["written"])
        )
        cells = (html.escape(one["given"]), html.escape(one["wanted"]), written or "∅")
        shown = "".join(f'<td style="{_CELL};{_MONO}" dir="auto">{cell}</td>' for cell in cells)
        rows.append(f'<tr><td style="{_CELL};width:1.5em">{"✓" if right else ""}</td>{shown}</tr>')
    heads = "".join(
        f'<th style="{_CELL};{_HEAD}">{html.escape(words[name])}</th>' for name in ("given", "wanted", "wrote")
    )
    first = f'<tr><th style="{_CELL}"></th>{heads}</tr>'
    whole = f'<table style="border-collapse:collapse;width:100%">{first}{"".join(rows)}</table>'
    return f'<div style="overflow-x:auto">{whole}</div>'
