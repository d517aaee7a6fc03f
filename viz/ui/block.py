"""The page The block: which stack and token, and one of four panels: the stream, the norm, the units, the activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from model.errors import HeadlightError, Stopped
from viz import export, numbers, tokens
from viz.ui import components, feet, language, session, work
from viz.ui.controls import site_name
from viz.ui.language import say
from viz.ui.widgets import listed, mirror, parts

if TYPE_CHECKING:
    import pandas as pd

    from model.trace import Trace

PANELS = ("stream", "norm", "units", "activations")
_BUTTONS = 12  # layers that are buttons; more are a list
Files = Callable[[], dict[str, Callable[[], bytes]]]


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
    """Stack, token and panel; then the panel."""
    from model import block_views
    from viz.ui import block_activations, block_norm, block_stream, block_units

    stacks = block_views.stacks(trace)
    if not stacks:
        st.info(say("block.none"), icon=":material/info:")
        return
    chosen = _pickers(trace, stacks)
    panel = parts("block", say("block.panel"), PANELS, "stream", lambda p: say(f"block.{p}"))
    count = len(chosen.texts)
    if chosen.cut.stop - chosen.cut.start < count:
        st.caption(say("block.window", first=chosen.cut.start, last=chosen.cut.stop - 1, n=f"{count:,}"))
    pages = {"stream": block_stream, "norm": block_norm, "units": block_units, "activations": block_activations}
    try:
        pages[panel].show(chosen)
    except Stopped:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(say("block.stopped"), width="content")
            st.button(say("block.again"), key="block-again", type="tertiary")
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")


def _pickers(trace: Trace, stacks: tuple[str, ...]) -> Chosen:
    """The selection's own stack and query: another choice is another selection, on every page."""
    from model.steps import window

    site, _, row, _ = session.selected()
    stack = site.query_side if site.query_side in stacks else stacks[0]
    labels = [f"{i}: {label['text']}" for i, label in enumerate(tokens.labels(trace, stack))]
    row = min(row, len(labels) - 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pickers"):
        if len(stacks) > 1:
            key = mirror("block-stack", stack)
            st.segmented_control(
                say("block.stack"), stacks, format_func=lambda s: say(f"site.{s}"), key=key, required=True,
                on_change=lambda: go(trace, st.session_state[key], site.layer),
            )  # fmt: skip
        place = listed("block-token", row, labels)
        st.selectbox(
            say("block.token"), range(len(labels)), format_func=labels.__getitem__, key=place, width=256,
            on_change=lambda: session.change(row=st.session_state[place]),
        )  # fmt: skip
    return Chosen(trace, stack, row, window(len(labels), row))


def go(trace: Trace, stack: str, layer: int) -> None:
    """Select a sub-layer of `stack`, of this layer or of the nearest that has attention."""
    _, head, _, _ = session.selected()
    sites = [known for known in trace.sites if known.query_side == stack]
    if sites:
        nearest = min(sites, key=lambda known: (abs(known.layer - layer), known.kind != "self"))
        session.change(site=str(nearest), head=min(head, trace.record(nearest).heads - 1), heads="")


def layer_picker(chosen: Chosen, layers: int) -> int:
    """The selection's layer: buttons for a few layers, a list for many."""
    site = session.selected()[0]
    now = min(site.layer, layers - 1)
    key = mirror("block-layer", now)

    def choose() -> None:
        go(chosen.trace, chosen.stack, st.session_state[key])

    if layers > _BUTTONS:
        st.selectbox(say("block.layer"), range(layers), key=key, on_change=choose, width=120)
    else:
        st.segmented_control(
            say("block.layer"), range(layers), key=key, on_change=choose, required=True, width="content"
        )
    return now


def kept(kind: str, asked: tuple[Any, ...], do: Callable[[], Any], waiting: str = "block.wait") -> Any:
    """Work of this page with a bar and Stop where it takes long, its last result kept; `asked` is all it depends on."""
    return work.kept("block", kind, asked, do, say(waiting))


def forget(kind: str) -> None:
    """Let the last result of this kind go: it may be large."""
    st.session_state.pop(f"block-kept-{kind}", None)


def heading(part: str, **values: object) -> None:
    """A figure's name and its one sentence."""
    st.markdown(f"#### {say(f'block.{part}', **values)}  \n{say(f'block.{part}_what', **values)}")


def words(alt: str) -> dict[str, str]:
    """What the equation component says."""
    return language.group("equation") | {"alt": alt, "help": say("equation.help_cell")}


def layer_name(name: str) -> str:
    """`encoder.0.ffn` in words."""
    stack, layer, kind = name.split(".")
    if kind in ("ffn", "layer"):
        return say("block.part", stack=say(f"site.{stack}"), layer=layer, part=say(f"block.part_{kind}"))
    return site_name(name)


def matrix_files(slug: str, values: np.ndarray, rows: list[str], columns: Sequence[str] = ()) -> Files:
    """The downloads of a matrix with a row a token."""
    names = list(columns) or [str(i) for i in range(values.shape[1])]
    return lambda: {
        f"{slug}.csv": lambda: export.matrix_csv(values, rows, names),
        f"{slug}.npz": lambda: export.npz(values=values, tokens=rows),
    }


def table_files(slug: str, table: pd.DataFrame) -> Files:
    """The download of a table."""
    return lambda: {f"{slug}.csv": lambda: table.to_csv(index=False).encode("utf-8-sig")}


def draw(key: str, frame: bytes, chosen: Chosen, also: Callable[[int], None] | None = None) -> None:
    """An equation whose rows are tokens: a click on one selects it, and `also` is told the column."""

    def select() -> None:
        picked = st.session_state[key].get("select")
        if picked:
            if also is not None:
                also(int(picked["column"]))
            session.change(row=int(picked["row"]) + chosen.cut.start)

    components.equation(key=key, data=frame, on_select_change=select)


def short(value: float, digits: int = 4) -> str:
    return numbers.short(float(value), digits)
