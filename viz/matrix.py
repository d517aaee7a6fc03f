"""One head's weights as the frame of the matrix and of the lines component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from model.sites import Site
from viz import tokens
from viz.payload import pack

if TYPE_CHECKING:
    from model.record import AttentionRecord
    from model.trace import Trace

PLAIN, MASKED, NAN, CLIPPED = 0, 1, 2, 3
Words = dict[str, str]


def states(values: np.ndarray, allowed: np.ndarray | None, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """uint8 [rows, columns]: what kind each cell is, so that masked, NaN and clipped are drawn as themselves."""
    state = np.full(values.shape, PLAIN, np.uint8)
    with np.errstate(invalid="ignore"):
        # A weight may pass 1 by rounding alone: that is no clipping.
        slack = 1e-5 * max(abs(low), abs(high), 1e-9)
        state[(values < low - slack) | (values > high + slack)] = CLIPPED
    state[np.isnan(values)] = NAN
    if allowed is not None:
        state[~allowed] = MASKED
    return state


def head_weights(record: AttentionRecord, head: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights float32, allowed bool), both [query, key]."""
    return record.weights(head).numpy(), record.allowed().numpy()


def matrix_frame(
    trace: Trace, site: Site, head: int, selection: tuple[int, int] | None, words: Words, max_height: int = 620
) -> bytes:
    """The attention matrix of one head: rows are queries, columns keys, colour is the weight on a fixed 0–1 scale."""
    values, allowed = head_weights(trace.record(site), head)
    header: dict[str, Any] = {
        "rows": tokens.query_labels(trace, site),
        "columns": tokens.key_labels(trace, site),
        "row_side": site.query_side,
        "column_side": site.key_side,
        "row_title": words["query_decoder" if site.query_side == "decoder" and trace.written() else "query"],
        "column_title": words["key"],
        "scale": {"kind": "sequential", "low": 0, "high": 1},
        "selection": None if selection is None else {"row": selection[0], "column": selection[1]},
        "words": words,
        "max_height": max_height,
    }
    return pack(header, values=values, state=states(values, allowed))


def lines_frame(
    trace: Trace, site: Site, head: int, shown: list[int], selection: tuple[int, int] | None, words: Words
) -> bytes:
    """All heads of one site as lines between two token columns; `shown` are the ones switched on."""
    record = trace.record(site)
    weights = np.stack([record.weights(h).numpy() for h in range(record.heads)])
    header = {
        "left": tokens.query_labels(trace, site),
        "right": tokens.key_labels(trace, site),
        "left_side": site.query_side,
        "right_side": site.key_side,
        "left_title": words["query_decoder" if site.query_side == "decoder" and trace.written() else "query"],
        "right_title": words["key"],
        "heads": [{"index": h, "name": words["head_name"].format(head=h)} for h in range(record.heads)],
        "shown": shown,
        "selection": None if selection is None else {"row": selection[0], "column": selection[1]},
        "current_head": head,
        "threshold": 0.02,
        "words": words,
    }
    return pack(header, weights=weights, state=states(weights[0], record.allowed().numpy()))
