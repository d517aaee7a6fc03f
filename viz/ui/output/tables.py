"""A table of what a model names, with probabilities as bars and as numbers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from viz.base import numbers
from viz.ui.language import say


def table(columns: dict[str, Any], probabilities: list[float], width: int = 640) -> None:
    """Columns, and beside them probabilities as bars and as numbers."""
    bar = st.column_config.ProgressColumn(format=" ", min_value=0.0, max_value=1.0)
    shown = {say("steps.probability"): probabilities, say("steps.exact"): [numbers.short(p, 4) for p in probabilities]}
    st.dataframe(columns | shown, column_config={say("steps.probability"): bar}, hide_index=True, width=width)
