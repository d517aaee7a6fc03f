"""One head's weights as the frame of the matrix component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from model.trace.per_trace import PerTrace
from model.trace.site import Site
from viz.base.axes import BLOCKS, Axes, Axis, by_word, map_axes
from viz.base.axes import axes as token_axes
from viz.base.cell_states import states
from viz.base.payload import pack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model.trace.attention_record import AttentionRecord
    from model.trace.trace import Trace

Words = dict[str, str]
# The blocks of a long head take all its weights: 80 kB a head are kept.
_blocks: PerTrace[tuple[np.ndarray, np.ndarray]] = PerTrace()


def head_weights(record: AttentionRecord, head: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights float32, allowed bool), both [query, key]."""
    return record.weights(head).numpy(), record.allowed().numpy()


def _strongest_of_blocks(record: AttentionRecord, head: int) -> tuple[np.ndarray, np.ndarray]:
    """(the largest weight, whether any cell is open) of each block of `map_axes`, float32 and bool."""
    from model.attention.downsample import allowed_bins, pooled

    return pooled(record, head, BLOCKS).numpy(), allowed_bins(record, BLOCKS).numpy()


def cells(record: AttentionRecord, head: int, axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    """(weights, allowed) [queries, keys] of the figure's items; whole words where an item is more than a token."""
    import torch

    rows, columns = axes[0].span, axes[1].span
    everything = axes[1].whole
    # In float64, and rounded then: every digit that is shown is right.
    weights = (
        record.weights(head, rows, slice(None) if everything else columns, torch.float64).numpy().astype(np.float32)
    )
    allowed = record.allowed(rows, columns).numpy()
    if not all(axis.single for axis in axes):
        return by_word(weights, allowed, axes)
    return weights, allowed


def header(trace: Trace, site: Site, axes: Axes, selection: tuple[int, int] | None, words: Words) -> dict[str, Any]:
    """What the frame of a figure of one site says besides its numbers: the selected cell, titles, where its sides begin."""
    at = None if selection is None else (axes[0].item(selection[0]), axes[1].item(selection[1]))
    return {
        "selection": None if at is None or None in at else {"row": at[0], "column": at[1]},
        "words": words,
        "row_title": words["query_decoder" if site.query_side == "decoder" and trace.written() else "query"],
        "column_title": words["key"],
        "row_side": site.query_side,
        "column_side": site.key_side,
        # Hovered tokens are told to other figures by their place in the whole side.
        "row_start": axes[0].first,
        "column_start": axes[1].first,
    }


def common_room(trace: Trace, figures: Mapping[Site, Axes], words: Words) -> dict[str, Any]:
    """What matrices side by side leave room for, so that their cells are of one size: every label and title of any, the most
    rows and columns of any."""
    rows, columns = zip(*figures.values(), strict=True)
    titles = [header(trace, site, shown, None, words)["row_title"] for site, shown in figures.items()]
    return {
        "rows": [label for axis in rows for label in axis.labels],
        "columns": [label for axis in columns for label in axis.labels],
        "titles": list(dict.fromkeys(titles)),
        "n": max(len(axis.labels) for axis in rows), "m": max(len(axis.labels) for axis in columns),
    }  # fmt: skip


def matrix_frame(
    trace: Trace, site: Site, head: int, selection: tuple[int, int] | None, words: Words, max_height: int = 620,
    axes: Axes | None = None, end: float = 1.0, address: str = "", said: bool = False, room: dict[str, Any] | None = None,
) -> bytes:  # fmt: skip
    """The attention matrix of one head: rows are queries, columns keys, colour is the weight from 0 to `end`.

    address: where the browser asks for the arithmetic of a cell, if each cell is one weight. said: the selected cell is told
    beside the figure, which does not repeat it. room: `common_room` of the matrices beside it.
    """
    axes = axes or token_axes(trace, site, selection or (0, 0))
    record = trace.record(site)
    values, allowed = cells(record, head, axes)
    told = header(trace, site, axes, selection, words) | {
        "rows": list(axes[0].labels),
        "columns": list(axes[1].labels),
        "row_breaks": axes[0].breaks,
        "column_breaks": axes[1].breaks,
        "scale": {"kind": "sequential", "low": 0, "high": end},
        "max_height": max_height,
        "sums": address if all(axis.single for axis in axes) else "",
        "first": [axis.starts[0] for axis in axes],
        "said": said,
        "left_out": _left_out(record, axes[1]),
        "causal": record.mask.causal and site.query_side == site.key_side,
    }
    told |= {} if room is None else {"room": room}
    return pack(told, values=values, state=states(values, allowed, high=end))


def values_frame(
    trace: Trace, site: Site, values: np.ndarray, allowed: np.ndarray, axes: Axes, at: tuple[int, int] | None, words: Words,
    ends: tuple[float, float], max_height: int = 440,
) -> bytes:  # fmt: skip
    """Other numbers over the cells of a head than its weights; ends: of the colours, diverging where the first is below 0."""
    low, high = ends
    told = header(trace, site, axes, at, words) | {
        "rows": list(axes[0].labels), "columns": list(axes[1].labels), "row_breaks": axes[0].breaks,
        "column_breaks": axes[1].breaks, "max_height": max_height,
        "scale": {"kind": "diverging" if low < 0 else "sequential", "low": low, "high": high},
    }  # fmt: skip
    return pack(told, values=values, state=states(values, allowed, low, high))


def _left_out(record: AttentionRecord, keys: Axis) -> int | None:
    """The column that is hatched because the picture is without it, not because it is masked."""
    item = None if record.left_out is None else keys.item(record.left_out)
    return item if item is not None and keys.tokens(item) == slice(record.left_out, record.left_out + 1) else None


def map_frame(
    trace: Trace, site: Site, head: int, selection: tuple[int, int] | None, words: Words, max_height: int = 300,
    end: float = 1.0,
) -> bytes:  # fmt: skip
    """The whole of a long head: the strongest weight of each block of queries and keys, in colour from 0 to `end`."""
    record = trace.record(site)
    axes = map_axes(record)
    values, allowed = _blocks.get(record, head, lambda: _strongest_of_blocks(record, head))
    told = header(trace, site, axes, selection, words) | {
        "rows": list(axes[0].labels),
        "columns": list(axes[1].labels),
        "row_side": "map-rows",  # a hovered block is no token of the other figures
        "column_side": "map-columns",
        "scale": {"kind": "sequential", "low": 0, "high": end},
        "max_height": max_height,
    }
    return pack(told, values=values, state=states(values, allowed, high=end))
