"""The positions page: one way to tell positions at a time, each on its own numbers and on the model's where it has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.ui import language
from viz.ui.language import say
from viz.ui.shared.widgets import parts
from viz.ui.state import current_run, random_model_offer

if TYPE_CHECKING:
    from model.trace.trace import Trace

KINDS = ("sinusoidal", "learned", "relative", "t5", "alibi", "rotary", "none")


def show(trace: Trace) -> str:
    """The choice of kind, which begins with the opened model's own, and that kind's panel. -> the kind"""
    from model.positions.bias import kind_of
    from viz.ui.positions import bias, rotary, tables, without

    random_model_offer.make_asked()
    model = current_run.model()
    module = getattr(model, "module", None)
    own = kind_of(trace, module)
    first = own if own in KINDS else "sinusoidal"
    kind = parts("positions", say("positions.kinds"), KINDS, first, lambda k: say(f"positions.kind_{k}"))
    st.markdown(say(f"positions.about_{kind}"))
    st.caption(say("positions.own", kind=_own(own, module)))
    panels: dict[str, Callable[[Trace, Any], None]] = {
        "sinusoidal": tables.sinusoidal, "learned": tables.learned,
        "relative": bias.relative, "t5": bias.t5, "alibi": bias.alibi,
        "rotary": rotary.rotary, "none": without.without,
    }  # fmt: skip
    with st.container(key="figures"):
        panels[kind](trace, model)
    return kind


def _own(kind: str, module: Any) -> str:
    """The model's own kind in words; of tables that are computed in one stack and trained in the other (Whisper), each."""
    from model.checkpoints.record.position_tables import position_tables

    if kind in ("sinusoidal", "learned") and module is not None:
        kinds = {each.stack: "learned" if each.trained else "sinusoidal" for each in position_tables(module)}
        if len(set(kinds.values())) > 1:
            named = ((language.stack(stack), say(f"positions.kind_{each}")) for stack, each in kinds.items())
            return say("error.comma").join(say("positions.own_stack", stack=stack, kind=each) for stack, each in named)
    return say(f"positions.kind_{kind}") if kind in (*KINDS, "scores") else say("positions.not_known")
