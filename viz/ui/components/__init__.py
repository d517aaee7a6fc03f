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

from viz import palette
from viz.ui.components import scripts

_HERE = Path(__file__).parent
_SHARED = ("common.js", "dom.js", "canvas.js", "sync.js")


def _read(*names: str) -> str:
    # The leading line end keeps Streamlit from taking a one-line text for a path.
    return "\n" + "\n".join((_HERE / name).read_text(encoding="utf-8") for name in names)


def _register(name: str, *parts: str, css: tuple[str, ...] = ()) -> Callable[..., Any]:
    """One component. Its parts become one module, in this order, after the shared ones; a name at the top level of one part
    is known in all of them and must be taken only once.
    css: style sheets of other components that come before its own.
    """
    script = f"const PALETTE = {json.dumps(palette.tables())};\n" + _read(*_SHARED, *parts)
    style = _read("common.css", *css, f"{name}.css")

    @functools.cache  # at its first figure: only then is it known whether the app serves the scripts
    def made() -> Callable[..., Any]:
        return st.components.v2.component(f"headlight_{name}", css=style, js=scripts.passed(name, script))

    return lambda **told: made()(**told)


matrix = _register(
    "matrix",
    "sums.js",
    "matrix_grid.js",
    "matrix_picture.js",
    "matrix_draw.js",
    "matrix_words.js",
    "matrix_input.js",
    "matrix.js",
    css=("sums.css",),
)
lines = _register(
    "lines",
    "lines_tokens.js",
    "lines_sheet.js",
    "lines_draw.js",
    "lines_heads.js",
    "lines_input.js",
    "lines.js",
)
lines_far = _register(
    "lines_far",
    "lines_heads.js",
    "lines_far_input.js",
    "lines_far.js",
    "lines_far_draw.js",
    css=("lines.css",),
)
overview = _register(
    "overview",
    "overview_ribbons.js",
    "overview_hero.js",
    "overview_popover.js",
    "overview_wires.js",
    "overview_model.js",
    "overview.js",
)
equation = _register(
    "equation",
    "sums.js",
    "equation_text.js",
    "equation_layout.js",
    "equation_draw.js",
    "equation_figure.js",
    "equation_readout.js",
    "equation.js",
    css=("sums.css",),
)
patches = _register("patches", "patches.js")
reading = _register(
    "reading",
    "reading_numbers.js",
    "reading_flow.js",
    "reading_strip.js",
    "reading_ends.js",
    "reading_find.js",
    "reading_input.js",
    "reading.js",
)
joint = _register("joint", "joint_input.js", "joint_draw.js", "joint.js")
reading_row = _register("reading_row", "reading_numbers.js", "reading_row.js")
atlas = _register("atlas", "atlas_plan.js", "atlas_draw.js", "atlas_card.js", "atlas.js")
map = _register(
    "map",
    "sums.js",
    "map_tiles.js",
    "map_draw.js",
    "map_words.js",
    "map_input.js",
    "map.js",
    css=("sums.css",),
)
