"""The feed-forward layer's hidden units: which fire for a token, which tokens fire a unit, and other activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui.block import activation_functions, common
from viz.ui.block.common import BlockSelection, words
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import current_run, page_controls

if TYPE_CHECKING:
    from model.residual.neurons import Hidden

_TOP, _DRAWN = 12, 32


def show(chosen: BlockSelection) -> None:
    """A layer, its units for the chosen token, and one unit over all tokens."""
    from model.residual import neurons
    from model.residual import stream as residual_stream

    layers = len(residual_stream.streams(chosen.trace, chosen.stack)) - 1
    page_text.heading("block.units")
    if residual_stream.own(chosen.trace) and f"{chosen.stack}.0.ffn.post" not in chosen.trace.store:
        st.info(say("block.units_lacking"), icon=":material/info:")
        return
    form = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        layer = common.layer_picker(chosen, layers)
        place = st.container(width=180)
    hidden = _hidden(chosen, layer, layers)
    if hidden is None:
        st.info(say("block.units_none"), icon=":material/info:")
        return
    form.latex(activation_functions.formula(hidden))
    best = neurons.strongest(hidden, chosen.row, _TOP)
    key, last = f"block-unit@{chosen.stack}-{layer}-{chosen.trace.key.model}", hidden.post.shape[1] - 1
    with place:
        how = page_controls.between(key, int(best[0][0]), 0, last)
        unit = int(st.number_input(say("block.unit"), 0, last, width=160, help=say("block.unit_help"), **how))
    _figure(chosen, hidden, best, unit, layer, key)
    _one_unit(chosen, hidden, unit, layer)
    activation_functions.show(chosen, hidden)


def _hidden(chosen: BlockSelection, layer: int, layers: int) -> Hidden | None:
    """The units as recorded, or, of a library model, from one more run; None where they are not to be had."""
    from model.checkpoints.record import mlp_hooks
    from model.residual import neurons
    from model.residual import stream as residual_stream

    module = getattr(current_run.model(), "module", None)
    if residual_stream.own(chosen.trace):
        return neurons.own_hidden(chosen.trace, module, chosen.stack, layer)
    if module is None or not current_run.is_library(chosen.trace) or not mlp_hooks.projections(module):
        return None

    def hear() -> Hidden | None:
        with mlp_hooks.capture_hidden(module, tuple(chosen.trace.sides), chosen.stack, layer, layers) as captured:
            current_run.again()
        return captured[0].units() if captured else None

    found = common.cached("units", (chosen.trace.key, chosen.stack, layer), hear, "wait.running")
    return found if found is not None and len(found.post) == len(chosen.texts) else None


def _figure(chosen: BlockSelection, hidden: Hidden, best: list, unit: int, layer: int, key: str) -> None:
    """Bars of the chosen token's units beside tokens × units."""
    from model.residual import neurons
    from viz import block as pictures

    names = {"unit": say("block.unit"), "value": say("block.activation"), "alt": say("block.units_alt")}
    width, cut = hidden.post.shape[1], chosen.cut
    shown = sorted({*neurons.ordered(hidden, chosen.row)[:_DRAWN], unit})
    labels = [{"text": str(u), "kind": "word"} for u in shown]
    frame = pictures.matrices_frame(
        [("h", hidden.post[cut][:, shown].numpy())], chosen.labels[cut], chosen.row - cut.start,
        words(say("block.units_map_alt")), 300, columns=labels, column=shown.index(unit),
    )  # fmt: skip

    def draw():
        return pictures.unit_bars(best, unit, names)

    with st.container(key="figures"):
        left, right = st.columns([2, 3], gap="large")
    with left:
        st.altair_chart(draw(), width="stretch")
    with right:
        common.draw("block-units-frame", frame, chosen, lambda column: page_controls.put(key, shown[column]))
        st.caption(say("block.units_map", n=len(shown), total=f"{width:,}"))
    badge = figure_footer.fidelity_badge(hidden.error, hidden.limit, chosen.trace)
    mine = int((hidden.post[chosen.row] > 0).sum())
    said = say("block.units_sentence", mine=f"{mine:,}", width=f"{width:,}", share=f"{hidden.firing:.0%}")
    said += f" {say('block.units_check')}" if hidden.error is not None else ""
    files = common.matrix_files(f"{chosen.slug}-{layer}-units", hidden.post.numpy(), chosen.texts)
    figure_footer.draw("block-units", said, badge, files, draw,
              (neurons.ordered, neurons.strongest, *activation_functions.sources(chosen.trace)))  # fmt: skip


def _one_unit(chosen: BlockSelection, hidden: Hidden, unit: int, layer: int) -> None:
    """One unit over the input, in reading order, and the tokens that fire it most."""
    import pandas as pd

    from model.residual import neurons
    from viz import block as pictures

    page_text.heading("block.one_unit", unit=unit)
    found = neurons.top_tokens(hidden, unit)
    cut = chosen.cut
    values = hidden.post[cut, unit].numpy()
    names = {"value": say("block.activation"), "alt": say("block.one_unit_alt", unit=unit)}

    def draw():
        return pictures.token_bars(values, chosen.texts[cut], chosen.row - cut.start, names)

    top = pd.DataFrame({
        say("card.token"): [f"{i}: {chosen.texts[i]}" for i, _ in found[:_TOP]],
        say("block.activation"): [numbers.short(value, 4) for _, value in found[:_TOP]],
    })  # fmt: skip
    with st.container(key="figures-unit"):
        left, right = st.columns([3, 2], gap="large")
    with left:
        st.altair_chart(draw(), width="stretch")
    with right:
        st.caption(say("block.top_tokens"))
        st.dataframe(top, hide_index=True, width="stretch")
    every = pd.DataFrame({"token": chosen.texts, "activation": hidden.post[:, unit].numpy()})
    fires = sum(value > 0 for _, value in found)
    figure_footer.draw("block-unit", say("block.unit_sentence", n=fires, total=len(found)), chosen.check,
              common.table_files(f"{chosen.slug}-{layer}-unit{unit}", every), draw, (neurons.top_tokens,))  # fmt: skip
