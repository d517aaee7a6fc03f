"""Our canvas components: registered once, each from the .js parts and the .css file of this folder.

A plain clone that was never installed cannot let Streamlit serve component assets by path: `scripts` does it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from viz.base import palette
from viz.ui.components import scripts

_HERE = Path(__file__).parent
_SHARED = ("shared/common.js", "shared/dom.js", "shared/canvas.js", "shared/sync.js")


def _read(*names: str) -> str:
    # The leading line end keeps Streamlit from taking a one-line text for a path.
    return "\n" + "\n".join((_HERE / name).read_text(encoding="utf-8") for name in names)


def _register(name: str, *parts: str, css: tuple[str, ...] = ()) -> Callable[..., Any]:
    """One component. Its parts become one module, in this order, after the shared ones; a name at the top level of one part
    is known in all of them and must be taken only once.
    css: style sheets of other components that come before its own.
    """
    script = f"const PALETTE = {json.dumps(palette.tables())};\n" + _read(*_SHARED, *parts)
    style = _read("shared/common.css", *css, f"{name}/style.css")

    @functools.cache  # at its first figure: only then is it known whether the app serves the scripts
    def made() -> Callable[..., Any]:
        return st.components.v2.component(f"headlight_{name}", css=style, js=scripts.passed(name, script))

    return lambda **told: made()(**told)


matrix = _register(
    "matrix",
    "shared/sums.js",
    "matrix/grid.js",
    "matrix/picture.js",
    "matrix/draw.js",
    "matrix/words.js",
    "matrix/input.js",
    "matrix/main.js",
    css=("shared/sums.css",),
)
lines = _register(
    "lines",
    "lines/tokens.js",
    "lines/sheet.js",
    "lines/draw.js",
    "shared/lines_heads.js",
    "lines/input.js",
    "lines/main.js",
)
lines_far = _register(
    "lines_far",
    "shared/lines_heads.js",
    "lines_far/input.js",
    "lines_far/main.js",
    "lines_far/draw.js",
    css=("lines/style.css",),
)
overview = _register(
    "overview",
    "overview/ribbons.js",
    "overview/hero.js",
    "overview/popover.js",
    "overview/wires.js",
    "overview/model.js",
    "overview/main.js",
)
equation = _register(
    "equation",
    "shared/sums.js",
    "equation/text.js",
    "equation/layout.js",
    "equation/draw.js",
    "equation/figure.js",
    "equation/readout.js",
    "equation/main.js",
    css=("shared/sums.css",),
)
patches = _register("patches", "patches/main.js")
text = _register(
    "text",
    "shared/reading_numbers.js",
    "text/flow.js",
    "text/strip.js",
    "text/ends.js",
    "text/find.js",
    "text/input.js",
    "text/main.js",
)
joint_matrix = _register("joint_matrix", "joint_matrix/input.js", "joint_matrix/draw.js", "joint_matrix/main.js")
text_row = _register("text_row", "shared/reading_numbers.js", "text_row/main.js")
atlas = _register("atlas", "atlas/plan.js", "atlas/draw.js", "atlas/card.js", "atlas/main.js")
map = _register(
    "map",
    "shared/sums.js",
    "map/tiles.js",
    "map/draw.js",
    "map/words.js",
    "map/input.js",
    "map/main.js",
    css=("shared/sums.css",),
)
