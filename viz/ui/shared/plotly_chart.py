"""A figure of plotly on a page, with one button: it saves the figure as it stands, under its name and with its check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.ui.theme import theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from viz.base.check_note import CheckNote


def draw(figure: go.Figure, said: str, check: CheckNote | None, file: str, key: str, kind: str = "png") -> None:
    """said: what the figure is of (model, layer, head), written on it, as `check` is: a saved picture has no page around it.

    file: the saved picture's name without its ending. kind: "png", or "svg" where more than the lines of a space is drawn.
    The browser makes the file; nothing is asked of a network.
    """
    from viz.plotly_figures import style

    saved = {"filename": file, "format": kind, "scale": 2 if kind == "png" else 1}
    st.plotly_chart(
        style.named(figure, said, check, theme()), width="stretch", theme=None, key=key,
        config={"displayModeBar": True, "displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": saved},
    )  # fmt: skip
