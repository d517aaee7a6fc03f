"""Which of the inputs that stand in for a visitor's own a recorded run has read, told by its content."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from model.checkpoints.media import sound
from model.checkpoints.media.picture_files import sample_picture

if TYPE_CHECKING:
    from model.trace.trace import Trace


def sample_read(trace: Trace) -> str:
    """ "picture" (drawn here), "tones" (made here) or "speech" (found on this computer); "" for an input of one's own."""
    reads = trace.facts.get("reads")
    if reads == "picture":
        return "picture" if trace.key.source == _picture() else ""
    return _sounds().get(trace.key.source, "") if reads == "sound" else ""


@functools.cache
def _picture() -> str:
    return f"picture {sample_picture().digest}"


@functools.cache
def _sounds() -> dict[str, str]:
    """Source as a run's key has it -> which sample that is."""
    told = {sound.source_of(*sound.sample_sound()): "tones"}
    if (spoken := sound.speech_sample()) is not None:
        told[sound.source_of(*spoken)] = "speech"
    return told
