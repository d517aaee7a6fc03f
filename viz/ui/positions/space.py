"""Positions in space, to turn: closed until asked for, because the browser's plotly takes longer to come than the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz.base import export
from viz.ui.language import say
from viz.ui.positions.common import files
from viz.ui.shared import figure_footer, plotly_chart
from viz.ui.shared.side_bar import site_name
from viz.ui.state import page_controls

if TYPE_CHECKING:
    import torch

    from model.positions.rotary import Rotated
    from model.trace.site import Site
    from model.trace.trace import Trace

_SHOWN = 64  # turns that can still be told apart


def table(values: torch.Tensor) -> None:
    """The sinusoidal table as a surface."""
    if not st.toggle(say("positions.surface_open"), **page_controls.switch("positions-surface")):
        return
    from model.transformer.positions import sinusoidal
    from viz.plotly_figures import positions as pictures
    from viz.ui.theme import theme

    words = {name: say(f"positions.{key}") for name, key in
             (("position", "position"), ("dimension", "dimension_axis"), ("value", "value"))}  # fmt: skip
    said = say("positions.surface_name", n=values.shape[0], d=values.shape[1])
    plotly_chart.draw(
        pictures.surface(values.numpy(), words, theme()), said, None, "headlight-surface", "positions-surface-chart"
    )
    rows, columns = ([str(i) for i in range(0, size, step)] for size, step in zip(values.shape, (1, 2), strict=True))
    figure_footer.draw(
        "positions-surface", say("positions.surface_sentence"), None, files("surface", values[:, ::2].numpy(), rows, columns),
        code=[sinusoidal],
    )  # fmt: skip


def pair(
    trace: Trace, rotated: Rotated, before: np.ndarray, after: np.ndarray, labels: list, pair: int, site: Site, head: int
) -> None:  # fmt: skip
    """One pair of dimensions of a head's queries, turning along the positions. before, after: [n, 2]."""
    if not st.toggle(say("positions.helix_open"), **page_controls.switch("positions-helix")):
        return
    from model.positions.rotary import rotate
    from viz.plotly_figures import positions as pictures
    from viz.ui.theme import theme

    words = {name: say(f"positions.{name}") for name in ("position", "before", "after")}
    words["dimension"] = say("positions.dimension", i="{i}")
    shown = slice(0, _SHOWN)
    names = [label["text"] for label in labels]
    badge = figure_footer.fidelity_badge(rotated.error, rotated.limit, trace)
    first, second = rotated.pairs[pair]
    said = f"{trace.key.model} · {site_name(site)} · {say('lines.head_name', head=head)} · q[{first}], q[{second}]"
    plotly_chart.draw(
        pictures.turning(before[shown], after[shown], names[shown], rotated.pairs[pair], words, theme()), said, badge,
        f"{figure_footer.safe(trace.key.model)}-{site}-head{head}-helix", "positions-helix-chart",
    )  # fmt: skip
    columns = [f"{when}_{d}" for when in ("before", "after") for d in rotated.pairs[pair]]
    sentence = say("positions.helix_sentence")
    if len(names) > _SHOWN:
        sentence += " " + say("positions.helix_first", n=_SHOWN, all=len(names))
    figure_footer.draw(
        "positions-helix", sentence, badge,
        lambda: {"headlight-helix.csv": lambda: export.matrix_csv(np.hstack([before, after]), names, columns)},
        code=[rotate],
    )  # fmt: skip
