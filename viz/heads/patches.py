"""A picture's patches with what one of them reads, and a sound's wave with where a written token listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from viz.base import tokens
from viz.base.payload import pack

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace

_POINTS = 600


def has_picture(trace: Trace, site: Site) -> bool:
    """Whether the site's keys are patches of a recorded picture: of a picture's own attention, and of what is written of it."""
    return "image" in trace.store and site.key_side == "encoder"


def has_sound(trace: Trace, site: Site) -> bool:
    """Whether the site's keys are frames of a recorded sound."""
    return "samples" in trace.store and site.key_side == "encoder"


def patches_frame(trace: Trace, site: Site, head: int, selection: tuple[int, int], words: dict[str, str]) -> bytes:
    """The frame of the patches component: the picture as the model saw it and one head's weights [query, key].

    Where a text is written of the picture its tokens ask, and are handed over as `queries`; else the patches themselves do.
    """
    side = trace.side(site.key_side)
    grid = [int(n) for n in trace.facts["grid"]]
    header: dict[str, Any] = {
        "grid": grid,
        "first": len(side.tokens) - grid[0] * grid[1],  # before the patches stand [CLS] and its like
        "sides": {"query": site.query_side, "key": site.key_side},
        "labels": list(side.texts),
        "queries": [] if site.query_side == site.key_side else tokens.query_labels(trace, site),
        "selection": {"row": selection[0], "column": selection[1]},
        "words": words,
    }
    return pack(header, image=trace.store["image"].numpy(), weights=trace.weights(site, head).numpy())


def wave(trace: Trace, title: str) -> alt.Chart:
    """The sound that was read, as the lowest and highest sample of each of 600 moments; time without numbers."""
    samples = trace.store["samples"].float().numpy()
    size = max(1, -(-len(samples) // _POINTS))
    padded = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    times = np.linspace(0, float(trace.facts["seconds"]), padded.shape[0], endpoint=False)
    table = pd.DataFrame({"t": times, "low": padded.min(1), "high": padded.max(1)})
    return alt.Chart(table).mark_area(opacity=0.6).encode(
        x=alt.X("t:Q", title=None, axis=alt.Axis(labels=False), scale=_time(trace)),
        y=alt.Y("low:Q", title=title, axis=alt.Axis(labels=False, ticks=False)), y2="high:Q",
    ).properties(height=70)  # fmt: skip


def _time(trace: Trace) -> alt.Scale:
    """From 0 to the end of the sound, or of the last frame that hears it where that is later."""
    end = max(1, int(trace.facts["sound_end"]) + 1)
    return alt.Scale(domain=[0, max(end * float(trace.facts["frame_seconds"]), float(trace.facts["seconds"]))])


def attention_over_sound(trace: Trace, site: Site, head: int, row: int, words: dict[str, str]) -> alt.VConcatChart:
    """Above the sound's wave, below the weight of each frame for one query; time in seconds, silence at the end cut."""
    weights = trace.row(site, head, row).numpy()
    end = max(1, int(trace.facts["sound_end"]) + 1)
    heard = pd.DataFrame({"t": np.arange(end) * float(trace.facts["frame_seconds"]), "weight": weights[:end]})
    below = alt.Chart(heard).mark_bar(width=2).encode(
        x=alt.X("t:Q", title=words["seconds"], scale=_time(trace)), y=alt.Y("weight:Q", title=words["weight"]),
        tooltip=[alt.Tooltip("t:Q", format=".2f"), alt.Tooltip("weight:Q", format=".4f")],
    ).properties(height=140)  # fmt: skip
    return alt.vconcat(wave(trace, words["wave"]), below, spacing=4)


def share_on_padding(trace: Trace, site: Site, head: int, row: int) -> float:
    """The share of a query's attention that goes to frames after the sound's end: padding that the model adds."""
    end = int(trace.facts["sound_end"]) + 1
    return float(trace.row(site, head, row)[end:].sum())
