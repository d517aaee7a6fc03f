"""Our canvas components: registered once, each a .js and .css file of this folder.

The files are read and passed inline because a plain clone that was never installed cannot serve component assets by path.
"""

from __future__ import annotations

import json
from pathlib import Path

import streamlit as st

from viz import palette

_HERE = Path(__file__).parent


def _read(*names: str) -> str:
    # The leading line end keeps Streamlit from taking a one-line text for a path.
    return "\n" + "\n".join((_HERE / name).read_text(encoding="utf-8") for name in names)


def _register(name: str):
    script = f"const PALETTE = {json.dumps(palette.tables())};\n" + _read("common.js", f"{name}.js")
    return st.components.v2.component(f"headlight_{name}", css=_read("common.css", f"{name}.css"), js=script)


matrix = _register("matrix")
lines = _register("lines")
overview = _register("overview")
equation = _register("equation")
