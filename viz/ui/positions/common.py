"""What the kinds of positions share: headings, sliders, grids, downloads, and the sub-layer that is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import export
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import side_bar
from viz.ui.shared.side_bar import site_name
from viz.ui.state import page_controls, random_model_offer, view

if TYPE_CHECKING:
    import numpy as np

    from model.trace.site import Site
    from model.trace.trace import Trace


WORDS = ("query", "key")


# Pixels of a slider: three stand in a row, and they wrap where there is less room.
WIDTH = 170


# Of each kind a small model that can be made here.
_SMALL = {"learned": "gpt2", "relative": "shaw", "t5": "t5", "alibi": "bloom", "rotary": "llama"}


def lacking(kind: str) -> None:
    """What this model does not have, and a small one that does: nothing in it is trained, but its arithmetic is the kind's."""
    st.info(say(f"positions.{kind}_none"), icon=":material/info:")
    random_model_offer.offer(_SMALL[kind], f"positions-open-{kind}", random_model_offer.open_here)


def slider(name: str, low: int, high: int, first: int, step: int = 1, key: str = "") -> int:
    """A whole number between `low` and `high`; what a wider range had left in it is brought back inside."""
    if low >= high:
        return low
    how = page_controls.between(key or f"positions-{name}", min(max(low, first), high), low, high)
    return int(st.slider(say(f"positions.{name}"), low, high, step=step, width=WIDTH, **how))


def grid(
    key: str, values: np.ndarray, rows: Sequence[dict], columns: Sequence[dict], scale: dict[str, Any],
    titles: tuple[str, str], select: Callable[[int, int], None] | None = None, **options: Any,
) -> None:  # fmt: skip
    """A heat map whose cells are read by pointing at them; `titles` are catalogue names of the two axes."""
    from viz import positions

    row, column = (say(f"positions.{title}") for title in titles)
    plain = scale["kind"] == "diverging" or (scale["low"], scale["high"]) != (0, 1)  # no weights
    words = language.group("matrix") | {
        "row": row, "column": column, "arrow": "·", "value": say("positions.value") if plain else say("matrix.value"),
        "legend": f"{say('positions.value') if plain else say('matrix.legend')} · {row} ↓ · {column} →",
        "curve": say("positions.curve"),
        "alt": say("positions.alt_grid", name=say(f"positions.{key}_name"), rows=values.shape[0], columns=values.shape[1]),
    }  # fmt: skip
    if select is None:
        words["help"] = ""
    name = f"positions-{key}" + options.pop("suffix", "")

    def picked() -> None:
        found = st.session_state[name].get("select")
        if found and select is not None:
            select(int(found["row"]), int(found["column"]))

    frame = positions.grid_frame(values, rows, columns, words, scale, **options)
    components.matrix(key=name, data=frame, on_select_change=picked)


def files(name: str, values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Callable[[], dict]:
    """The downloads of a matrix."""
    return lambda: {
        f"headlight-{name}.csv": lambda: export.matrix_csv(values, rows, columns),
        f"headlight-{name}.npz": lambda: export.npz(values=values, rows=list(rows), columns=list(columns)),
    }


def static(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], scale: dict[str, Any],
          titles: tuple[str, str]) -> Callable[[], Any]:  # fmt: skip
    """A heat map for a file: the first rows and columns, as many as a file of marks takes."""

    def draw() -> Any:
        from viz.base.static_chart import LARGEST, heat_map

        cut = slice(0, LARGEST)
        names = (*(say(f"positions.{title}") for title in titles), say("positions.value"))
        return heat_map(values[cut, cut], rows[cut], columns[cut], scale["low"], scale["high"], titles=names)

    return draw


def where(trace: Trace, site: Site) -> None:
    """The selection as elsewhere, and which sub-layer stands in where the selected one has no positions in its scores."""
    side_bar.head_picker(trace, words=False)
    if site != view.selected()[0]:
        st.caption(say("positions.stands_in", site=site_name(site)))


def self_site(trace: Trace) -> Site | None:
    """The selected sub-layer where it is self-attention, else the first of that stack, else the first of any."""
    site = view.selected()[0]
    own = [known for known in trace.sites if known.kind == "self"]
    return next((k for k in (site, *(k for k in own if k.stack == site.stack), *own) if k in own), None)


def chosen_head(trace: Trace, site: Site) -> int:
    """The selected head, where this sub-layer has it."""
    return min(view.current().head, trace.record(site).heads - 1)


def texts(labels: Sequence[dict]) -> list[str]:
    return [label["text"] for label in labels]
