"""One step of the arithmetic as the frame of the equation component: matrices with operators between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from viz.base import tokens
from viz.base.cell_states import MASKED, NAN, PLAIN
from viz.base.payload import pack

if TYPE_CHECKING:
    from model.steps.step import Matrix, Step
    from model.trace.trace import Trace

# The scale of weights: fixed, so that equal colours are equal weights in every figure.
WEIGHTS = {"kind": "sequential", "low": 0, "high": 1}
_OF_WEIGHTS = ("A", "A_iT")
# Which cells of the operands a result's cell comes from, where it is no matrix product.
# Steps whose matrices are compared with each other: they share one scale.
_COMPARED = ("input", "scaled", "softcap", "bias", "mask", "weighted", "sum", "concat", "residual", "norm")
_LINKS = {
    "scaled": "elementwise", "softcap": "elementwise", "bias": "elementwise", "mask": "elementwise", "softmax": "rows",
    "residual": "elementwise", "norm": "rows", "q_norm": "elementwise", "k_norm": "elementwise",
    "rotate_q": "elementwise", "rotate_k": "elementwise",
}  # fmt: skip


def _scale(symbol: str, values: np.ndarray) -> dict[str, Any]:
    """Weights 0–1; anything signed on a symmetric diverging scale, so that zero is the page."""
    if symbol in _OF_WEIGHTS:
        return WEIGHTS
    finite = np.abs(values[np.isfinite(values)])
    high = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    return {"kind": "diverging", "low": -high, "high": high}


def shared_scale(matrices: list[np.ndarray]) -> dict[str, Any]:
    """One symmetric scale for matrices that are compared with each other, so that equal colours are equal numbers."""
    return _scale("", np.concatenate([matrix.ravel() for matrix in matrices]))


def _digits(values: np.ndarray) -> int:
    finite = values[np.isfinite(values)]
    return 0 if finite.size and np.allclose(finite, np.round(finite)) else 2


class EquationFrame:
    """Collects items and arrays; `name`s must be unique, so a matrix used twice in one line is numbered."""

    def __init__(self, words: dict[str, str], row: int | None = None, column: int | None = None, max_height: int = 170):
        self.row, self.column, self.words, self.max_height = row, column, words, max_height
        self.items: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.link: dict[str, Any] | None = None
        self.address = ""

    def operator(self, text: str) -> None:
        self.items.append({"operator": text})

    def matrix(
        self,
        symbol: str,
        values: np.ndarray,
        rows: tuple[str | None, list[tokens.Label] | None] = (None, None),
        columns: tuple[str | None, list[tokens.Label] | None] = (None, None),
        masked: np.ndarray | None = None,
        result: bool = False,
        scale: dict[str, Any] | None = None,
    ) -> str:
        """Add a matrix; `rows` and `columns` are (axis, labels) with axis "query", "key" or None. Returns its name."""
        name = symbol if symbol not in self.arrays else f"{symbol}{len(self.arrays)}"
        highlight = {"query": self.row, "key": self.column}
        self.items.append(
            {
                "matrix": name,
                "symbol": symbol,
                "shape": f"{values.shape[0]} × {values.shape[1]}",
                "rows": rows[1],
                "columns": columns[1],
                "scale": scale or _scale(symbol, values),
                "highlight_row": highlight.get(rows[0] or ""),
                "highlight_column": highlight.get(columns[0] or ""),
                "digits": _digits(values),
                "caption": "",
                "result": result,
            }
        )
        state = np.full(values.shape, PLAIN, np.uint8)
        state[np.isnan(values)] = NAN
        if masked is not None:
            state[masked] = MASKED
        self.arrays[name] = values.astype(np.float32)
        self.arrays[f"{name}.state"] = state
        return name

    def frame(self) -> bytes:
        header = {"items": self.items, "link": self.link, "max_height": self.max_height, "words": self.words,
                  "sums": self.address if any(item.get("weights") for item in self.items) else ""}  # fmt: skip
        return pack(header, **self.arrays)


def step_frame(
    trace: Trace, step: Step, site_axes: dict[str, str], row: int, column: int, words: dict[str, str], address: str = ""
) -> bytes:
    """The step as drawn: labels stand beside the first matrix that has tokens for rows, and on the result's columns.

    site_axes maps "query" and "key" to the side whose tokens they are. Of a long side `WINDOW` tokens are drawn, which
    hold the selected one. address: where the browser asks for the arithmetic of a cell.
    """
    from model.steps.step import WINDOW, window

    at = {"query": row, "key": column}
    cuts = {axis: window(len(trace.tokens(side)), at[axis]) for axis, side in site_axes.items()}
    cut = any(len(trace.tokens(side)) > WINDOW for side in site_axes.values())
    frame = EquationFrame(words, row - cuts["query"].start, column - cuts["key"].start)
    frame.address = address
    names: dict[str, str] = {}
    matrices = [m for m in (*step.operands, step.result) if not isinstance(m, str) and m.symbol not in _OF_WEIGHTS]
    shared = shared_scale([m.values.numpy() for m in matrices]) if step.key in _COMPARED else None

    def add(matrix: Matrix, result: bool, label_rows: bool) -> None:
        axis = matrix.rows
        rows, columns = (cuts.get(name or "", slice(None)) for name in (axis, matrix.columns))
        # A long text's later steps hold only a window of their queries.
        inner = slice(rows.start - step.start, rows.stop - step.start) if axis == "query" else rows
        side = site_axes.get(axis or "")
        row_labels = tokens.labels(trace, side)[rows] if side and label_rows else None
        column_side = site_axes.get(matrix.columns or "")
        column_labels = tokens.labels(trace, column_side)[columns] if column_side and result else None
        masked = matrix.masked[inner, columns].numpy() if matrix.masked is not None else None
        name = frame.matrix(
            matrix.symbol,
            matrix.values[inner, columns].numpy(),
            (axis, row_labels),
            (matrix.columns, column_labels),
            masked,
            result,
            scale=None if matrix.symbol in _OF_WEIGHTS else shared,
        )
        names[matrix.symbol] = name
        # A click says where in the whole head it was.
        frame.items[-1] |= {
            "row_start": rows.start or 0, "column_start": columns.start or 0,
            "weights": (axis, matrix.columns) == ("query", "key"),
        }  # fmt: skip

    labelled: set[str] = set()
    for operand in step.operands:
        if isinstance(operand, str):
            frame.operator(operand)
            continue
        fresh = operand.rows is not None and operand.rows not in labelled
        add(operand, result=False, label_rows=fresh)
        labelled.add(operand.rows or "")
    if not (len(step.operands) == 1 and step.operands[0] is step.result):
        frame.operator("=")
        add(step.result, result=True, label_rows=step.result.rows is not None and step.result.rows not in labelled)
    # A sum over keys of which most are not drawn cannot be written out from what is.
    frame.link = None if cut and step.key in ("sum", "softmax") else _link(step, names)
    return frame.frame()


def _link(step: Step, names: dict[str, str]) -> dict[str, Any] | None:
    """Where a cell of the result comes from, so that hovering it can mark its operands and write out its sum."""
    result = names[step.result.symbol]
    if step.product:
        left, right = step.product
        bias = next((name for symbol, name in names.items() if symbol.startswith("b_")), None)
        link = {"kind": "product", "left": names[left], "right": names[right], "result": result}
        return link | ({"bias": bias} if bias else {})
    if step.key in _LINKS:
        operands = [names[matrix.symbol] for matrix in step.operands if not isinstance(matrix, str)]
        return {"kind": _LINKS[step.key], "operands": operands, "result": result}
    return None
