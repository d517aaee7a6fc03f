"""The page Generation: how the next token is chosen, one way of decoding at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.ui import frame, language, recording, runs, session
from viz.ui.generation_common import (
    job,
    number,
)
from viz.ui.language import say
from viz.ui.widgets import parts

if TYPE_CHECKING:
    from model.decoding import Writer
    from model.trace import Trace

WAYS = ("greedy", "beams", "sampling", "cache")
_NEW = 12


def show(trace: Trace) -> None:
    """The choice of how to write and that way's figures; one sentence where the model writes nothing."""
    from viz.ui import generation_beams, generation_cache, generation_greedy, generation_sampling

    if "decoder" not in trace.sides or not trace.predicts or not trace.written():
        st.info(say("generation.none"), icon=":material/info:")
        frame.link("output", say("output.name"))
        return
    way = parts("generation", say("generation.ways"), WAYS, "greedy", lambda w: say(f"generation.way_{w}"))
    st.markdown(say(f"generation.about_{way}"))
    model = runs.model()
    controls = st.container(horizontal=True, gap="small", key="generation-controls")
    try:
        with controls:
            written = _continued(trace, model) if way in ("greedy", "sampling") else trace
        asked = writer(model, written)
        panels: dict[str, Callable[[Trace, Any, Writer | None, Any], None]] = {
            "greedy": generation_greedy.show, "beams": generation_beams.show, "sampling": generation_sampling.show,
            "cache": generation_cache.show,
        }  # fmt: skip
        panels[way](written, model, asked, controls)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")


def _continued(trace: Trace, model: Any) -> Trace:
    """The run, of a decoder with a continuation: a text without one has nothing that was written."""
    if "encoder" in trace.sides or trace.facts.get("generated") or not _writes(model) or session.current().new:
        return trace
    new = number("new", 1, 40, _NEW, f"@{trace.key.model}")
    chat = bool(dict(trace.key.options).get("chat"))

    def run() -> Trace:
        found = model.trace(trace.key.source, chat=chat, new_tokens=new)
        found.fidelity(plain=False)
        return found

    return job("continued", (trace.key, new), run)


def _writes(model: Any) -> bool:
    from model.checkpoints import writing

    return model is not None and recording.is_library_model(model) and writing.writes(model)


def writer(model: Any, trace: Trace) -> Writer | None:
    """What asks the model for more, None for a saved run and for models that only their own package can run."""
    from model import decoding
    from model.checkpoints import writing
    from model.checkpoints.own import OwnModel

    if isinstance(model, OwnModel):
        return decoding.own_writer(model, trace)
    return writing.writer(model, trace) if _writes(model) else None
