"""A table of what a model names, with probabilities as bars and as numbers, and what stands under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from viz.base import export, numbers
from viz.ui.language import say
from viz.ui.shared import figure_footer

if TYPE_CHECKING:
    from model.trace.trace import Trace

WIDTH = 640


def table(columns: dict[str, Any], probabilities: Sequence[float], width: int = WIDTH) -> None:
    """Columns, and beside them probabilities as bars and as numbers."""
    bar = st.column_config.ProgressColumn(format=" ", min_value=0.0, max_value=1.0)
    shown = {say("steps.probability"): probabilities, say("steps.exact"): [numbers.short(p, 4) for p in probabilities]}
    st.dataframe(columns | shown, column_config={say("steps.probability"): bar}, hide_index=True, width=width)


def foot(
    trace: Trace, name: str, sentence: str, saved: dict[str, Sequence[Any]], code: tuple[Callable[..., object], ...]
) -> None:
    """What every table of a head's answers has under it: a sentence, how the run checks, the numbers as a file, the code.

    name: the table's, in its file's name; saved: the columns of that file, numbers in full.
    """
    slug = f"{figure_footer.safe(trace.key.model)}-{name}"
    figure_footer.draw(
        f"output-{name}", sentence, figure_footer.run_badge(trace),
        lambda: {f"{slug}.csv": lambda: export.table_csv(pd.DataFrame(saved))}, code=code,
    )  # fmt: skip
