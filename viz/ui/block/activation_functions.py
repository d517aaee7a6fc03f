"""What ReLU, GELU and SiLU make of a layer's own pre-activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from viz.ui.block import common
from viz.ui.block.common import BlockSelection, short
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text

if TYPE_CHECKING:
    from model.residual.neurons import Hidden
    from model.trace.trace import Trace

NAMES = {
    "relu": "ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "gelu_tanh": "GELU (tanh)",
    "quick_gelu": "GELU (σ)",
    "relu2": "ReLU²",
}


def formula(hidden: Hidden) -> str:
    """FFN(x) as this layer computes it, as far as that is known."""
    name = "a" if hidden.function is None else rf"\mathrm{{{NAMES[hidden.function].replace('²', '^2')}}}"
    b_1, b_2, c = (" + b_1", " + b_2", " + c") if hidden.biased else ("", "", "")
    gate = "" if hidden.gate is None else rf" \odot (x V{c})"
    return rf"\mathrm{{FFN}}(x) = h\,W_2{b_2},\qquad h = {name}(x W_1{b_1}){gate}"


def _before(hidden: Hidden) -> str:
    """What goes into the activation, in a line of text."""
    return "x W₁ + b₁" if hidden.biased else "x W₁"


def sources(trace: Trace) -> tuple[Callable, ...]:
    """What the units come from."""
    from model.checkpoints.record import mlp_hooks
    from model.residual import neurons
    from model.residual import stream as residual_stream

    if residual_stream.own(trace):
        return (neurons.own_hidden,)
    return (mlp_hooks.capture_hidden, mlp_hooks.CapturedProjection)


def show(chosen: BlockSelection, hidden: Hidden) -> None:
    """The curves with the chosen token's units on the model's own, and what each function passes on in all."""
    import pandas as pd
    import torch

    from model.residual import neurons as units
    from viz import block as pictures

    if hidden.pre is None or hidden.function is None:
        st.caption(say("block.functions_none"))
        return
    own = hidden.function
    page_text.heading("block.functions", name=NAMES[own])
    pre = hidden.pre[chosen.row].double()
    low, high = min(-1.0, float(pre.min())), max(1.0, float(pre.max()))
    grid = torch.linspace(low, high, 200, dtype=torch.float64)
    shown = [own, *(name for name in units.COMPARED if name != own)]
    lines = {NAMES[name]: (grid.numpy(), units.activate(name, grid).numpy()) for name in shown}
    points = pd.DataFrame({"pre": pre.numpy(), "post": units.activate(own, pre).numpy()})
    texts = {"pre": say("block.pre", pre=_before(hidden)), "post": say("block.post"), "alt": say("block.functions_alt")}

    def draw():
        return pictures.curves(points, lines, texts)

    st.altair_chart(draw(), width="stretch")
    every = {name: units.post_activation(hidden, name, chosen.row) for name in shown}
    head = [f"| | {say('block.silent')} | ‖h‖ | {say('block.differs')} |", "|:--|--:|--:|--:|"]
    for name, values in every.items():
        apart = "—" if name == own else short(float((values - every[own]).norm()), 3)
        label = f"**{NAMES[name]}** · {say('block.this_model')}" if name == own else NAMES[name]
        head.append(f"| {label} | {int((values == 0).sum()):,} | {short(float(values.norm()), 4)} | {apart} |")
    st.markdown("\n".join(head))
    gated = hidden.gate is not None
    said = say("block.functions_gated", pre=_before(hidden)) if gated else say("block.functions_sentence")
    table = pd.DataFrame({"pre": pre.numpy()} | {name: values.numpy() for name, values in every.items()})
    check = figure_footer.fidelity_badge(hidden.function_error, hidden.function_limit, chosen.trace)
    figure_footer.draw("block-functions", said, check,
              common.table_files(f"{chosen.slug}-functions", table), draw, (units.activate, units.post_activation))  # fmt: skip
