"""The dimensions of the sinusoidal table as waves, beside the table, and after how many positions each of them repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import numbers
from viz.ui.language import say
from viz.ui.positions.common import files
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import page_controls

if TYPE_CHECKING:
    import torch

_CURVES = 6
_COLUMN = 130  # px of a column of wavelengths


def dimensions(d: int) -> list[int]:
    """The dimensions that are drawn as waves; the list of them stands beside the table."""
    return sorted(st.session_state[_control(d)["key"]]) or [0]


def _control(d: int) -> dict[str, Any]:
    return page_controls.several("positions-dims", [0, 1, *([8, 9] if d > 9 else [])], range(d), _CURVES)


def show(table: torch.Tensor, lengths: torch.Tensor, dims: list[int], position: int) -> None:
    """The chosen columns along the positions, and after how many positions each wave repeats."""
    from model.transformer.positions import sinusoidal as make
    from viz import positions as pictures

    page_text.heading("positions.curves_name", small=True)
    d = table.shape[1]
    st.multiselect(say("positions.dims"), range(d), max_selections=_CURVES, label_visibility="collapsed", **_control(d))
    words = {name: say(f"positions.{name}") for name in ("dimension", "position", "value")}

    def draw() -> Any:
        return pictures.curves(table.numpy(), dims, words | {"alt": say("positions.curves_what")}, position)

    st.altair_chart(draw())
    told = " · ".join(f"{say('positions.dimension', i=i)}: **{numbers.short(float(lengths[i]))}**" for i in dims)
    st.markdown(f"{say('positions.wavelengths')} {told}")
    with st.popover(say("positions.every_wavelength"), type="tertiary", width="content"):
        _every_wavelength(lengths)
    rows = [str(i) for i in range(len(table))]
    figure_footer.draw("positions-curves", say("positions.curves_sentence"), None,
              files("curves", table[:, dims].numpy(), rows, [str(i) for i in dims]), draw, [make])  # fmt: skip


def _every_wavelength(lengths: torch.Tensor) -> None:
    """A row a pair of dimensions; the pair has one wavelength."""
    import pandas as pd

    pairs = range(len(lengths) // 2)
    table = pd.DataFrame({"i": pairs, "dims": [f"{2 * i}, {2 * i + 1}" for i in pairs], "wave": lengths[::2].numpy()})
    names = {"i": say("positions.pair"), "dims": say("positions.dims"), "wave": say("positions.wave")}
    columns = {name: st.column_config.Column(label, width=_COLUMN) for name, label in names.items()}
    columns["wave"] = st.column_config.NumberColumn(names["wave"], format="%.5g", width=_COLUMN)
    st.dataframe(table, hide_index=True, height=320, width=3 * _COLUMN + 20, column_config=columns)
