"""What the panels of the page The block share: the selection, the layer picker, headings, downloads and the matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import mirror
from viz.ui.state import jobs, view

if TYPE_CHECKING:
    import pandas as pd

    from model.trace.trace import Trace
    from viz.base.check_note import CheckNote


_BUTTONS = 12  # layers that are buttons; more are a list


Files = Callable[[], dict[str, Callable[[], bytes]]]


@dataclass(frozen=True, eq=False)
class BlockSelection:
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
        return f"{figure_footer.safe(self.trace.key.model)}-{self.stack}"

    @property
    def check(self) -> CheckNote:
        """Of activations, which have no right answer of their own."""
        return figure_footer.run_badge(self.trace)


def go(trace: Trace, stack: str, layer: int) -> None:
    """Select a sub-layer of `stack`, of this layer or of the nearest that has attention."""
    _, head, _, _ = view.selected()
    sites = [known for known in trace.sites if known.query_side == stack]
    if sites:
        nearest = min(sites, key=lambda known: (abs(known.layer - layer), known.kind != "self"))
        view.change(site=str(nearest), head=min(head, trace.record(nearest).heads - 1), heads="")


def layer_picker(chosen: BlockSelection, layers: int) -> int:
    """The selection's layer: buttons for a few layers, a list for many."""
    site = view.selected()[0]
    now = min(site.layer, layers - 1)
    key = mirror("block-layer", now)

    def choose() -> None:
        go(chosen.trace, chosen.stack, st.session_state[key])

    if layers > _BUTTONS:
        st.selectbox(say("block.layer"), range(layers)[::-1], key=key, on_change=choose, width=120)
    else:
        st.segmented_control(
            say("block.layer"), range(layers), key=key, on_change=choose, required=True, width="content"
        )
    return now


def cached(kind: str, key: tuple[Any, ...], do: Callable[[], Any], waiting: str = "block.wait") -> Any:
    """Work of this page with a bar and Stop where it takes long, its last result kept; `key` is all it depends on."""
    return jobs.cached("block", kind, key, do, say(waiting))


def forget(kind: str) -> None:
    """Let the last result of this kind go: it may be large."""
    st.session_state.pop(f"block-kept-{kind}", None)


def words(alt: str) -> dict[str, str]:
    """What the equation component says."""
    return language.group("equation") | {"alt": alt, "help": say("equation.help_cell")}


def layer_name(name: str) -> str:
    """`encoder.0.ffn` in words."""
    stack, layer, kind = name.split(".")
    if kind in ("ffn", "layer"):
        return say("block.part", stack=language.stack(stack), layer=layer, part=say(f"block.part_{kind}"))
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
    return lambda: {f"{slug}.csv": lambda: export.table_csv(table)}


def draw(key: str, frame: bytes, chosen: BlockSelection, also: Callable[[int], None] | None = None) -> None:
    """An equation whose rows are tokens: a click on one selects it and calls `also` with the column."""

    def select() -> None:
        picked = st.session_state[key].get("select")
        if picked:
            if also is not None:
                also(int(picked["column"]))
            view.change(row=int(picked["row"]) + chosen.cut.start)

    components.equation(key=key, data=frame, on_select_change=select)


def short(value: float, digits: int = 4) -> str:
    return numbers.short(float(value), digits)
