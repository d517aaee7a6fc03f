"""The controls of the atlas: pooling, order, grid and filters of the heads; every choice is in the link."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from model.measures.registry import ORDERABLE
from viz.atlas import atlas
from viz.base import numbers
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import measure_words, sink
from viz.ui.shared.widgets import mirror
from viz.ui.state import view

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace

_STEP = 5  # per cent of a measure's range, from one minimum to the next
ORDERS = ("layer", *ORDERABLE, atlas.LIKE)


def how(exact: bool) -> str:
    """ "max" or "mean"; where every cell is one weight the two are the same."""
    return "mean" if view.tab("atlas_how") == "mean" and not exact else "max"


def grid() -> str:
    asked = view.tab("atlas_grid")
    return asked if asked in atlas.GRIDS else "layers"


def order() -> str:
    asked = view.tab("atlas_order")
    return asked if asked in ORDERS else "layer"


def shown(trace: Trace, values: Mapping[atlas.Head, float]) -> atlas.Shown:
    """What the link asks for, as far as this run and what is measured so far allow it."""
    kind = view.tab("atlas_kind")
    least = _bound(values, _percent())
    return atlas.Shown(
        order(), view.tab("atlas_sort") == "lowest", grid(),
        kind if kind in atlas.groups(trace.sites) else "", least if values and _percent() else None,
    )  # fmt: skip


def _percent() -> int:
    told = view.tab("atlas_min")
    return min(100, int(told)) // _STEP * _STEP if told.isascii() and told.isdigit() else 0


def _bound(values: Mapping[atlas.Head, float], percent: int) -> float:
    """The measure that lies `percent` of the way from the smallest to the largest."""
    known = [value for value in values.values() if not math.isnan(value)]
    if not known:
        return 0.0
    low, high = min(known), max(known)
    return high if percent == 100 else low + (high - low) * percent / 100


def _choice(part: str, options: Sequence[str], value: str) -> None:
    key = mirror(f"atlas_{part}", value)
    st.segmented_control(
        say(f"atlas.{part}"), options, key=key, required=True, width="content",
        format_func=lambda option: say(f"atlas.{part}_{option}"),
        on_change=lambda: view.open_tab(f"atlas_{part}", st.session_state[key]),
    )  # fmt: skip


def _reorder(key: str) -> None:
    view.open_tab("atlas_order", st.session_state[key])
    view.open_tab("atlas_min", "0")  # another measure has another range


def row(
    trace: Trace, exact: bool, layout: atlas.Shown, values: Mapping[atlas.Head, float], scale: Callable[[], None]
) -> None:
    """The controls in one row; what only some runs need lies in a popover. scale: draws the one of the colours."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="atlas-controls"):
        if not exact:
            _choice("how", ("max", "mean"), how(exact))
        key = mirror("atlas_order", layout.order)
        st.selectbox(
            say("atlas.order"), ORDERS, format_func=measure_words.of_order, key=key, on_change=_reorder,
            args=(key,), width=250,
        )  # fmt: skip
        if layout.order != "layer":
            _choice("sort", ("highest", "lowest"), "lowest" if layout.lowest else "highest")
        _choice("grid", atlas.GRIDS, layout.grid)
        scale()
        kinds = atlas.groups(trace.sites)
        if len(kinds) > 1 or values:
            with st.popover(say("atlas.filter"), width="content"):
                _filters(kinds, layout, values)
        sink.switches()


def _filters(kinds: list[str], layout: atlas.Shown, values: Mapping[atlas.Head, float]) -> None:
    if len(kinds) > 1:
        key = mirror("atlas_kind", layout.kind or "all")
        st.segmented_control(
            say("atlas.kind"), ["all", *kinds], key=key, required=True,
            format_func=lambda kind: say("atlas.kind_all") if kind == "all" else group_name(kind),
            on_change=lambda: view.open_tab("atlas_kind", st.session_state[key]),
        )  # fmt: skip
    if values:
        key = mirror("atlas_min", _percent(), layout.order)
        st.select_slider(
            say("atlas.min", measure=measure_words.of_order(layout.order)), range(0, 101, _STEP), key=key,
            format_func=lambda p: numbers.short(_bound(values, p), 2) if p else say("atlas.min_none"),
            on_change=lambda: view.open_tab("atlas_min", str(st.session_state[key])),
        )  # fmt: skip


def group_name(kind: str) -> str:
    """ "encoder_self" -> "encoder · self-attention"."""
    stack, _, way = kind.rpartition("_")
    return say("atlas.group", stack=language.stack(stack), kind=say(f"site.{way}"))


def short_group(site: Site) -> str:
    """What stands before a layer's number: a letter, or the name of a stack that is neither encoder nor decoder."""
    group = atlas.group(site)
    return say(f"atlas.short_{group}") if language.known(f"atlas.short_{group}") else f"{language.stack(site.stack)} "
