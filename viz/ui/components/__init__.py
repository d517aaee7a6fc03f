"""Our canvas components: one folder each, with the ES module main.js and its style.css; shared/ has what several use.

A plain clone that was never installed cannot let Streamlit serve component assets by path: `scripts` does it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from viz.ui.components import scripts


def _style(*sheets: str) -> str:
    # The leading line end keeps Streamlit from taking a one-line text for a path.
    return "\n" + "\n".join((scripts.FOLDER / sheet).read_text(encoding="utf-8") for sheet in sheets)


def _register(name: str, *sheets: str, isolated: bool = True) -> Callable[..., Any]:
    """The component in the folder `name`; `sheets`: style sheets that come before its own. isolated: in a shadow of its own."""
    style = _style("shared/common.css", *sheets, f"{name}/style.css")

    @functools.cache  # at its first figure: only then is it known whether the app serves the scripts
    def made() -> Callable[..., Any]:
        script = scripts.loader(f"{name}/main.js")
        return st.components.v2.component(f"headlight_{name}", css=style, js=script, isolate_styles=isolated)

    return lambda **told: made()(**told)


address = _register("address")
atlas = _register("atlas")
brush = _register("brush")
curves = _register("curves", isolated=False)
equation = _register("equation", "shared/sums.css")
joint_matrix = _register("joint_matrix")
lines = _register("lines")
lines_far = _register("lines_far", "lines/style.css")
map = _register("map", "shared/sums.css")
matrix = _register("matrix", "shared/sums.css")
overview = _register("overview")
patches = _register("patches")
text = _register("text")
text_row = _register("text_row")
