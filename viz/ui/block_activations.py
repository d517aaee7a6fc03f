"""Any recorded activation: as a heat map, as a distribution by layer; how alike the tokens become, and where they lie."""

from __future__ import annotations

import numpy as np
import streamlit as st

from viz.ui import block, components, feet, session
from viz.ui.block import Chosen, heading, short, words
from viz.ui.language import say

_LAYERS = 48  # distributions that are drawn; of more layers every second, third, …


def show(chosen: Chosen) -> None:
    """Heat map and distribution of one kind of activation, then the residual stream by layer."""
    _any(chosen)
    _alike(chosen)


def _any(chosen: Chosen) -> None:
    """One activation, [tokens, features]; and its numbers by layer."""
    from model import block_activations as activations
    from viz import block as pictures

    heading("any")
    found = activations.names(chosen.trace, chosen.stack)
    kinds = activations.kinds(found)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        usual = next((k for k in ("ffn.norm", "stream") if k in kinds), kinds[0])
        kind = st.selectbox(say("block.kind"), kinds, index=kinds.index(usual), key=f"block-kind-{chosen.stack}-{len(kinds)}",
                            width=220, persist_state="session")  # fmt: skip
        layers = activations.layers_of(found, kind)
        name = st.selectbox(say("block.of"), layers, key=f"block-name-{chosen.stack}-{kind}", width=280,
                            persist_state="session")  # fmt: skip
    values = chosen.trace.activation(name).float()
    cut = chosen.cut
    frame = pictures.matrices_frame([(name.split(".")[-1], values[cut].numpy())], chosen.labels[cut], chosen.row - cut.start,
                                    words(say("block.any_alt", name=name)), 320)  # fmt: skip
    block.draw("block-any-frame", frame, chosen)
    feet.foot("block-any", say("block.any_sentence", name=name, n=values.shape[0], d=values.shape[1]), "",
              block.matrix_files(f"{chosen.slug}-{name}", values.numpy(), chosen.texts),
              code=(type(chosen.trace).activation,))  # fmt: skip
    if len(layers) > 1:
        _distribution(chosen, layers, kind)


def _distribution(chosen: Chosen, layers: list[str], kind: str) -> None:
    import pandas as pd

    from model import block_activations as activations
    from viz import block as pictures

    heading("distribution", kind=kind)
    shown = layers[:: -(-len(layers) // _LAYERS)]
    table = np.array([activations.quantiles(chosen.trace.activation(name)).numpy() for name in shown])
    names = {"value": say("block.value"), "alt": say("block.distribution_alt", kind=kind)}

    def draw():
        return pictures.quantile_chart(table, shown, names)

    st.altair_chart(draw(), width="stretch")
    frame = pd.DataFrame(table, columns=[f"q{q:g}" for q in activations.QUANTILES]).assign(name=shown)
    feet.foot("block-distribution", say("block.distribution_sentence"), "",
              block.table_files(f"{chosen.slug}-{kind}-quantiles", frame), draw, (activations.quantiles,))  # fmt: skip


def _alike(chosen: Chosen) -> None:
    """Cosines of the tokens at one depth, their mean by depth, and two principal components."""
    import pandas as pd

    from model import block_activations as activations
    from model import block_views
    from viz import block as pictures

    names = block_views.streams(chosen.trace, chosen.stack)
    heading("alike")
    depth = st.slider(say("block.depth"), 0, len(names) - 1, len(names) - 1, key=f"block-depth-{chosen.stack}-{len(names)}",
                      persist_state="session", width=320) if len(names) > 1 else 0  # fmt: skip
    values = chosen.trace.activation(names[depth])
    cut = chosen.cut
    cosines = activations.similarity(values[cut]).numpy()
    frame = pictures.similarity_frame(
        cosines, chosen.labels[cut], (chosen.row - cut.start,) * 2, words(say("block.alike_alt"))
    )

    def select() -> None:
        picked = st.session_state["block-alike"].get("select")
        if picked and session.selected()[0].query_side == chosen.stack:
            session.change(row=int(picked["row"]) + cut.start)

    means = {say("block.mean_cosine"): [activations.mean_similarity(chosen.trace.activation(n)) for n in names]}
    texts = {"depth": say("block.depth"), "value": say("block.mean_cosine"), "alt": say("block.alike_lines_alt")}

    def draw():
        return pictures.depth_lines(means, texts, zero=False)

    with st.container(key="figures"):
        left, right = st.columns(2, gap="large")
    with left:
        components.equation(key="block-alike", data=frame, on_select_change=select)
    with right:
        st.altair_chart(draw(), width="stretch")
    feet.foot("block-alike", say("block.alike_sentence", name=names[depth], mean=short(next(iter(means.values()))[depth], 3)), "",
              block.matrix_files(f"{chosen.slug}-cosines", cosines, chosen.texts[cut]), draw,
              (activations.similarity, activations.mean_similarity))  # fmt: skip
    _plane(chosen, names[depth], values, pd)


def _plane(chosen: Chosen, name: str, values, pd) -> None:
    from model import block_activations as activations
    from viz import block as pictures

    heading("plane")
    cut = slice(0, len(values)) if len(values) <= 256 else chosen.cut
    found = activations.plane(values[cut])
    texts = chosen.texts[cut]

    def draw():
        return pictures.plane_chart(found, texts, chosen.row - cut.start, {"alt": say("block.plane_alt", name=name)})

    st.altair_chart(draw(), width="stretch")
    table = pd.DataFrame(found.points.numpy(), columns=["PC1", "PC2"]).assign(token=texts)
    said = say("block.plane_sentence", name=name, share=f"{sum(found.share):.0%}")
    feet.foot("block-plane", said, "", block.table_files(f"{chosen.slug}-plane", table), draw, (activations.plane,))
