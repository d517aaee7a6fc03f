"""The page Generation: how the next token is chosen, one way of decoding at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.ui import language, navigation
from viz.ui.generation.common import job, number
from viz.ui.language import say
from viz.ui.shared.widgets import parts
from viz.ui.state import current_run, model_cache, view

if TYPE_CHECKING:
    from model.generation.decoder import Decoder
    from model.trace.trace import Trace

WAYS = ("greedy", "beams", "sampling", "cache")
_NEW = 12


def show(trace: Trace) -> None:
    """The choice of how to write and that way's figures; one sentence where nothing that was written is recorded."""
    from viz.ui.generation import beams, greedy, kv_cache, sampling

    if "decoder" not in trace.sides or not trace.predicts or not trace.written():
        if trace.facts.get("own_module"):
            st.info(say("generation.none_module"), icon=":material/info:")
            navigation.link("heads", say("heads.name"))
        else:
            st.info(say("generation.none"), icon=":material/info:")
            navigation.link("output", say("output.name"))
        return
    way = parts("generation", say("generation.ways"), WAYS, "greedy", lambda w: say(f"generation.way_{w}"))
    st.markdown(say(f"generation.about_{way}"))
    model = current_run.model()
    controls = st.container(horizontal=True, gap="small", key="generation-controls")
    try:
        with controls:
            written = _continued(trace, model) if way in ("greedy", "sampling") else trace
        asked = decoder(model, written)
        panels: dict[str, Callable[[Trace, Any, Decoder | None, Any], None]] = {
            "greedy": greedy.show, "beams": beams.show, "sampling": sampling.show,
            "cache": kv_cache.show,
        }  # fmt: skip
        panels[way](written, model, asked, controls)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")


def _continued(trace: Trace, model: Any) -> Trace:
    """The run, of a decoder with a continuation: a text without one has nothing that was written."""
    if "encoder" in trace.sides or trace.facts.get("generated") or not _writes(model) or view.current().new:
        return trace
    new = number("new", 1, 40, _NEW, f"@{trace.key.model}")
    chat = {"chat": True} if dict(trace.key.options).get("chat") else {}

    def run() -> Trace:
        found = model.trace(trace.key.source, **chat, new_tokens=new)
        found.fidelity(plain=False)
        return found

    return job("continued", (trace.key, new), run)


def _writes(model: Any) -> bool:
    from model.checkpoints.library import generate

    if model_cache.is_library_model(model):
        return generate.writes(model)
    return getattr(model, "task", "") == "causal"  # a decoder alone of ours


def decoder(model: Any, trace: Trace) -> Decoder | None:
    """What asks the model for more, None for a saved run and for models that only their own package can run."""
    from model.checkpoints import own_decoder
    from model.checkpoints.library import generate
    from model.checkpoints.own import OwnModel

    if isinstance(model, OwnModel):
        return own_decoder.own_decoder(model, trace)
    return generate.decoder(model, trace) if model_cache.is_library_model(model) and generate.writes(model) else None
