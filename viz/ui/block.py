"""The page The block: which stack and token, and one of four panels: the stream, the norm, the units, the activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz import export, numbers, tokens
from viz.ui import components, feet, language, session
from viz.ui.controls import site_name
from viz.ui.language import say
from viz.ui.widgets import parts

if TYPE_CHECKING:
    from model.trace import Trace

PANELS = ("stream", "norm", "units", "activations")


@dataclass(frozen=True, eq=False)
class Chosen:
    """The stack and the token that every panel is about; `cut` are the tokens that are drawn of a long text."""

    trace: Trace
    stack: str
    row: int
    cut: slice

    @property
    def labels(self) -> list[tokens.Label]:
        return tokens.labels(self.trace, self.stack)

    @property
    def texts(self) -> list[str]:
        return [label["text"] for label in self.labels]

    @property
    def slug(self) -> str:
        return f"{feet.safe(self.trace.key.model)}-{self.stack}"


def show(trace: Trace) -> None:
    """Stack, token and panel in one row; then the panel."""
    from model import block_views
    from viz.ui import block_activations, block_norm, block_stream, block_units

    stacks = block_views.stacks(trace)
    if not stacks:
        st.info(say("block.none"), icon=":material/info:")
        return
    chosen = _pickers(trace, stacks)
    panel = parts("block", say("block.panel"), PANELS, "stream", lambda p: say(f"block.{p}"))
    pages = {"stream": block_stream, "norm": block_norm, "units": block_units, "activations": block_activations}
    pages[panel].show(chosen)


def _pickers(trace: Trace, stacks: tuple[str, ...]) -> Chosen:
    """The selection's own stack and query, where it has them."""
    from model.steps import window

    site, _, row, _ = session.selected()
    own = site.query_side if site.query_side in stacks else stacks[0]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pickers"):
        stack = own
        if len(stacks) > 1:
            stack = st.segmented_control(
                say("block.stack"), stacks, default=own, format_func=lambda s: say(f"site.{s}"),
                key=f"block-stack-{own}", required=True,
            ) or own  # fmt: skip
        labels = [f"{i}: {label['text']}" for i, label in enumerate(tokens.labels(trace, stack))]
        first = row if stack == own and row < len(labels) else 0
        key = f"block-token-{stack}-{first}-{hash(trace.key)}-{language.current()}"
        chosen = st.selectbox(say("block.token"), range(len(labels)), index=first, format_func=labels.__getitem__, key=key,
                              width=256)  # fmt: skip
    return Chosen(trace, stack, chosen, window(len(labels), chosen))


def heading(name: str, **values: object) -> None:
    """A figure's name and its one sentence."""
    st.markdown(f"#### {say(f'block.{name}')}  \n{say(f'block.{name}_what', **values)}")


def words(alt: str) -> dict[str, str]:
    """What the equation component says."""
    return language.group("equation") | {"alt": alt, "help": ""}


def layer_name(name: str) -> str:
    """`encoder.0.ffn` in words."""
    stack, layer, kind = name.split(".")
    if kind in ("ffn", "layer"):
        return say("block.part", stack=say(f"site.{stack}"), layer=layer, part=say(f"block.part_{kind}"))
    return site_name(name)


def matrix_files(slug: str, values: np.ndarray, rows: list[str]) -> Callable[[], dict[str, Callable[[], bytes]]]:
    """The downloads of a matrix with a row a token."""
    columns = [str(i) for i in range(values.shape[1])]
    return lambda: {
        f"{slug}.csv": lambda: export.matrix_csv(values, rows, columns),
        f"{slug}.npz": lambda: export.npz(values=values, tokens=rows),
    }


def table_files(slug: str, table) -> Callable[[], dict[str, Callable[[], bytes]]]:
    """The download of a table."""
    return lambda: {f"{slug}.csv": lambda: table.to_csv(index=False).encode("utf-8-sig")}


def draw(key: str, frame: bytes, chosen: Chosen) -> None:
    """An equation whose rows are tokens: a click on one selects it, where the selection is of this stack."""

    def select() -> None:
        picked = st.session_state[key].get("select")
        if picked and session.selected()[0].query_side == chosen.stack:
            session.change(row=int(picked["row"]) + chosen.cut.start)

    components.equation(key=key, data=frame, on_select_change=select)


def short(value: float, digits: int = 4) -> str:
    return numbers.short(float(value), digits)
