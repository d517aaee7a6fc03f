"""The picture or the sound that was read, small, above the heads that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui.language import say
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.trace.trace import Trace

_WIDE = 128  # px of the picture
_WAVE = 280  # px of the wave


def shown(trace: Trace) -> None:
    """What a model of pictures or of sound has read, and whether that was a sample; of a text nothing."""
    if "image" not in trace.store and "samples" not in trace.store:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="overview-media"):
        if "image" in trace.store:
            st.image(trace.store["image"].numpy(), width=_WIDE)
            height, width, _ = trace.store["image"].shape
            rows, columns = trace.facts["grid"]
            said = say("overview.seen_size", width=width, height=height, rows=rows, columns=columns)
        else:
            _heard(trace)
            frames, seconds = int(trace.facts["sound_end"]) + 1, numbers.short(float(trace.facts["seconds"]))
            said = say("overview.heard_length", seconds=seconds, frames=f"{frames:,}")
        st.markdown("  \n".join([said, *_sample(trace)]))


def _heard(trace: Trace) -> None:
    """The wave, and a player below it."""
    from model.checkpoints.media.wav import RATE, wav_bytes
    from viz.heads import patches  # with altair, which the first screen can do without

    wave = patches.wave(trace, "").properties(height=56).configure_axis(disable=True).configure_view(stroke=None)
    with st.container(width=_WAVE, gap="xsmall"):
        st.altair_chart(wave, height=56)
        st.audio(wav_bytes(trace.store["samples"].float().numpy(), RATE), format="audio/wav")


def _sample(trace: Trace) -> list[str]:
    """That it is a sample, where the visitor gave none."""
    from model.checkpoints.media.samples import sample_read

    if not (sample := sample_read(trace)):
        return []
    saved = model_list.is_trace(view.current().model)
    return [say("overview.sample_saved") if saved else say(f"overview.sample_{sample}")]
