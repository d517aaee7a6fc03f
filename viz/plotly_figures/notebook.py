"""A figure for a notebook, whose button saves it under a name that tells the model and the head, not as `newplot`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

from viz.base.export import file_name

_NAME = "saved_as"  # in the layout's meta, which copies and pickles of a figure keep


class NotebookFigure(go.Figure):
    """plotly takes the name of a saved picture from the config of each display, not from the figure: here every display and
    every page has it, with what else is asked for."""

    def show(self, *args: Any, config: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        pio.show(self, *args, config=self._with(config), **kwargs)

    def to_html(self, config: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any) -> str:
        return pio.to_html(self, self._with(config), *args, **kwargs)

    def write_html(self, file: Any, config: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        pio.write_html(self, file, self._with(config), *args, **kwargs)

    def _repr_mimebundle_(self, *args: Any, config: Mapping[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
        return super()._repr_mimebundle_(*args, config=self._with(config), **kwargs)

    def _ipython_display_(self) -> None:
        if pio.renderers.render_on_display and pio.renderers.default:
            self.show()
        else:
            super()._ipython_display_()

    def _with(self, config: Mapping[str, Any] | None) -> dict[str, Any]:
        config = config or {}
        saved = {"filename": (self.layout.meta or {}).get(_NAME, "figure"), **config.get("toImageButtonOptions", {})}
        return {**config, "toImageButtonOptions": saved}


def for_notebook(figure: go.Figure, *parts: str) -> NotebookFigure:
    """The same figure, saved as a file whose name is made of `parts`: the model, the sub-layer, the head."""
    return NotebookFigure(figure.update_layout(meta={_NAME: "-".join(map(file_name, parts))}))
