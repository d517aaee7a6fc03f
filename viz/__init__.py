"""Figures, tables and files of a trace or an array, without Streamlit; the app is `viz/ui/`.

`plotly_head`, `plotly_layer` and `plotly_measures` are figures of plotly for a notebook; plotly is imported when one is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viz.plotly_figures.attention import head_figure as plotly_head
    from viz.plotly_figures.attention import layer_figure as plotly_layer
    from viz.plotly_figures.parallel import measures_figure as plotly_measures

__all__ = ["plotly_head", "plotly_layer", "plotly_measures"]
_LAZY = {
    "plotly_head": ("viz.plotly_figures.attention", "head_figure"),
    "plotly_layer": ("viz.plotly_figures.attention", "layer_figure"),
    "plotly_measures": ("viz.plotly_figures.parallel", "measures_figure"),
}


def __getattr__(name: str):
    if name in _LAZY:
        module, figure = _LAZY[name]
        return getattr(import_module(module), figure)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
