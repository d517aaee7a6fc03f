"""The atlas' heads as pictures, and where their colours end: at 1, or where most of them do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from viz.atlas import atlas
from viz.heads import color_scale
from viz.ui.atlas import canvas
from viz.ui.language import say
from viz.ui.shared import sink
from viz.ui.shared.widgets import keep, mirror
from viz.ui.state import view as session

if TYPE_CHECKING:
    import numpy as np

    from model.trace.site import Site
    from viz.ui.atlas.figure import View

    Arrays = Mapping[Site, np.ndarray]


def _shown(view: View) -> tuple[Arrays, Arrays]:
    """(numbers [h, R, C], masked bins [R, C]) of the sites that are done."""
    from model.attention.downsample import bin_lengths

    shown = {
        site: atlas.shares(pooled, view.how, bin_lengths(view.trace.record(site).keys, view.size))
        for site, pooled in dict(view.found.pooled[view.how]).items()
    }
    return shown, {site: view.found.closed[site] for site in shown}


def _kind(most: float) -> str:
    return session.current().scale or atlas.suggested(most)


def pictures(view: View) -> tuple[Arrays, Arrays, str]:
    """(pictures, masked bins, the weight that gets the darkest colour) of the sites that are done."""
    shown, closed = _shown(view)
    most = atlas.most(shown, closed)
    end = color_scale.end(most, _kind(most))
    return {site: atlas.picture(values, end) for site, values in shown.items()}, closed, color_scale.written(end)


def switch(view: View) -> None:
    """The same choice as for one head; where nobody chose, what the weights suggest."""
    key = mirror("scale", _kind(atlas.most(*_shown(view))))
    st.segmented_control(
        say("pick.scale"), session.SCALES, format_func=lambda end: say(f"pick.scale_{end}"), key=key, on_change=keep,
        args=("scale", key), required=True, width="content", help=say("atlas.scale_help"),
    )  # fmt: skip


def legend(view: View, pictures: Arrays) -> str:
    """What a cell's colour is: the pooling is always said, and that something is larger than where the colours end."""
    beyond = any((picture == atlas.BEYOND).any() for picture in pictures.values())
    cell = sink.legend(canvas.legend_of(view.trace, view.sites, view.size, view.how))
    return cell + (say("overview.legend_beyond") if beyond else "")
