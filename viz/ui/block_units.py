"""The feed-forward layer's hidden units: which fire for a token, which tokens fire a unit, and other activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz import numbers
from viz.ui import block, feet, runs, session, work
from viz.ui.block import Chosen, heading, short, words
from viz.ui.language import say

if TYPE_CHECKING:
    from model.block_units import Hidden

_TOP, _DRAWN, _BUTTONS = 12, 48, 12


def show(chosen: Chosen) -> None:
    """A layer, its units for the chosen token, and one unit over all tokens."""
    from model import block_units as units
    from model import block_views
    from viz import block as pictures

    layers = len(block_views.streams(chosen.trace, chosen.stack)) - 1
    own = block_views.own(chosen.trace)
    heading("units")
    st.latex(r"\mathrm{FFN}(x) = a(x W_1 + b_1)\,W_2 + b_2" + (r",\quad a = \max(0, \cdot)" if own else ""))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        layer = _layer(chosen, layers)
        place = st.container(width=180)
    hidden = _own(chosen, layer) if own else _heard(chosen, layer, layers)
    if hidden is None:
        st.info(say("block.units_none"), icon=":material/info:")
        return
    best = units.strongest(hidden, chosen.row, _TOP)
    with place:
        unit = _unit(chosen, layer, best, hidden.post.shape[1])
    _figure(chosen, hidden, best, unit, layer)
    _one_unit(chosen, hidden, unit, layer)
    if hidden.pre is not None:
        _other_functions(chosen, hidden, pictures)


def _layer(chosen: Chosen, layers: int) -> int:
    """Buttons for a few layers, a list for many."""
    key, options = f"block-layer-{chosen.stack}-{layers}", list(range(layers))
    if layers > _BUTTONS:
        return st.selectbox(say("block.layer"), options, key=key, width=120, persist_state="session")
    return st.segmented_control(
        say("block.layer"), options, default=0, required=True, key=key, persist_state="session", width="content"
    ) or 0  # fmt: skip


def _own(chosen: Chosen, layer: int) -> Hidden:
    """The units as recorded, checked through the model's W_2 where the model is at hand."""
    from model.block_units import Hidden

    name = f"{chosen.stack}.{layer}.ffn"
    pre, post = (chosen.trace.activation(f"{name}.{part}") for part in ("pre", "post"))
    module = getattr(session.current_model(), "module", None)
    error = None
    if module is not None:
        W_2 = getattr(module, chosen.stack)[layer].ffn.W_2
        made = post.double() @ W_2.weight.detach().double().T + W_2.bias.detach().double()
        error = (made - chosen.trace.activation(f"{name}.output").double()).abs().max().item()
    return Hidden(post, pre, error)


def _heard(chosen: Chosen, layer: int, layers: int) -> Hidden | None:
    """The units of a library model, from one more run, kept until another layer is asked for."""
    from model.block_units import Hidden
    from model.checkpoints import ffn_tap as taps

    model = session.current_model()
    module = getattr(model, "module", None)
    if module is None or not runs.is_library(chosen.trace) or not taps.projections(module):
        return None
    key = ("units", chosen.trace.key, chosen.stack, layer)
    kept = st.session_state.get("block-units")
    if kept is None or kept[0] != key:
        stacks = tuple(chosen.trace.sides)

        def hear():
            with taps.listening(module, stacks, chosen.stack, layer, layers) as heard:
                runs.again()
            return heard[0] if heard else None

        st.session_state["block-units"] = kept = (key, work.run(key, hear, say("wait.running")))
    heard = kept[1]
    if heard is None or len(heard.hidden) != len(chosen.texts):
        return None
    return Hidden(heard.hidden.float(), None, heard.error)


def _unit(chosen: Chosen, layer: int, best, width: int) -> int:
    """Which unit is looked at over all tokens: the chosen token's strongest, until a number is typed."""
    first = best[0][0]
    key = f"block-unit-{chosen.stack}-{layer}-{chosen.row}-{hash(chosen.trace.key)}"
    return int(st.number_input(say("block.unit"), 0, width - 1, first, key=key, width=160, help=say("block.unit_help")))


def _figure(chosen: Chosen, hidden: Hidden, best, unit: int, layer: int) -> None:
    """Bars of the chosen token's units beside tokens × units."""
    from model import block_units as units
    from viz import block as pictures

    names = {"unit": say("block.unit"), "value": say("block.activation"), "alt": say("block.units_alt")}
    with st.container(key="figures"):
        left, right = st.columns([2, 3], gap="large")

    def draw():
        return pictures.unit_bars(best, unit, names)

    shown = sorted({u for u, _ in units.strongest(hidden, chosen.row, _DRAWN)} | {unit})
    values = hidden.post[chosen.cut][:, shown].numpy()
    with left:
        st.altair_chart(draw(), width="stretch")
    with right:
        columns = [{"text": str(u), "kind": "word"} for u in shown] if len(shown) <= 16 else None
        frame = pictures.matrices_frame([("h", values)], chosen.labels[chosen.cut], chosen.row - chosen.cut.start,
                                        words(say("block.units_map_alt")), 300, columns=columns)  # fmt: skip
        block.draw("block-units-frame", frame, chosen)
        st.caption(say("block.units_map", n=len(shown), total=f"{hidden.post.shape[1]:,}"))
    size = max(1.0, float(hidden.post.abs().max()))
    badge = "" if hidden.error is None else feet.fidelity_badge(hidden.error, 2e-6 * size * hidden.post.shape[1] ** 0.5)
    said = say("block.units_sentence", share=f"{hidden.firing:.0%}", width=f"{hidden.post.shape[1]:,}")
    feet.foot("block-units", said, badge, block.matrix_files(f"{chosen.slug}-{layer}-units", hidden.post.numpy(), chosen.texts),
              draw, (units.strongest,))  # fmt: skip


def _one_unit(chosen: Chosen, hidden: Hidden, unit: int, layer: int) -> None:
    """One unit over the input: the tokens that fire it most."""
    import pandas as pd

    from model import block_units as units

    found = units.top_tokens(hidden, unit)[:_TOP]
    st.markdown(f"**{say('block.unit_tokens', unit=unit)}**")
    table = pd.DataFrame({
        say("card.token"): [f"{i}: {chosen.texts[i]}" for i, _ in found],
        say("block.activation"): [numbers.short(value, 4) for _, value in found],
    })  # fmt: skip
    st.dataframe(table, hide_index=True, width=420)
    feet.foot("block-unit", say("block.unit_sentence"), "", block.table_files(f"{chosen.slug}-{layer}-unit{unit}", table),
              code=(units.top_tokens,))  # fmt: skip


def _other_functions(chosen: Chosen, hidden: Hidden, pictures) -> None:
    """What ReLU, GELU and SiLU make of the chosen token's pre-activations."""
    from model import block_units as units

    heading("functions")
    import pandas as pd
    import torch

    pre, post = (values[chosen.row].double() for values in (hidden.pre, hidden.post))
    grid = torch.linspace(float(pre.min()), float(pre.max()), 200, dtype=torch.float64)
    names = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}
    lines = {names[n]: (grid.numpy(), units.activate(n, grid).numpy()) for n in units.ACTIVATIONS}
    points = pd.DataFrame({"pre": pre.numpy(), "post": post.numpy()})
    texts = {"pre": say("block.pre"), "post": say("block.post"), "alt": say("block.functions_alt")}

    def draw():
        return pictures.curves(points, lines, texts)

    st.altair_chart(draw(), width="stretch")
    silent = pre <= 0
    lost = float(units.activate("gelu", pre[silent]).sum())
    said = say("block.functions_sentence", zeros=int(silent.sum()), n=len(pre), lost=short(lost, 3))
    error = float((units.activate("relu", pre) - post).abs().max())
    passed = {name: units.activate(name, pre).numpy() for name in units.ACTIVATIONS}
    feet.foot("block-functions", said, feet.fidelity_badge(error),
              block.table_files(f"{chosen.slug}-functions", points.assign(**passed)), draw, (units.activate,))  # fmt: skip
