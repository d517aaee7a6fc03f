"""One step of the arithmetic as the frame of the equation component: matrices with operators between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from viz import tokens
from viz.matrix import MASKED, NAN, PLAIN
from viz.payload import pack

if TYPE_CHECKING:
    from model.arithmetic import Matrix, Step
    from model.trace import Trace

_WEIGHTS = ("A", "A_iT")


def _scale(symbol: str, values: np.ndarray) -> dict[str, Any]:
    """Weights 0–1; anything signed on a symmetric diverging scale, so that zero is the page."""
    if symbol in _WEIGHTS:
        return {"kind": "sequential", "low": 0, "high": 1}
    finite = np.abs(values[np.isfinite(values)])
    high = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    return {"kind": "diverging", "low": -high, "high": high}


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
        header = {"items": self.items, "link": self.link, "max_height": self.max_height, "words": self.words}
        return pack(header, **self.arrays)


def step_frame(
    trace: Trace, step: Step, site_axes: dict[str, str], row: int, column: int, words: dict[str, str]
) -> bytes:
    """The step as drawn: labels stand beside the first matrix that has tokens for rows, and on the result's columns.

    site_axes maps "query" and "key" to the side whose tokens they are.
    """
    frame = EquationFrame(words, row, column)
    names: dict[str, str] = {}

    def add(matrix: Matrix, result: bool, label_rows: bool) -> None:
        axis = matrix.rows
        side = site_axes.get(axis or "")
        row_labels = tokens.labels(trace, side) if side and label_rows else None
        column_side = site_axes.get(matrix.columns or "")
        column_labels = tokens.labels(trace, column_side) if column_side and result else None
        masked = matrix.masked.numpy() if matrix.masked is not None else None
        name = frame.matrix(
            matrix.symbol, matrix.values.numpy(), (axis, row_labels), (matrix.columns, column_labels), masked, result
        )
        names[matrix.symbol] = name

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
    if step.product:
        left, right = step.product
        frame.link = {
            "kind": "product",
            "left": names[left],
            "right": names[right],
            "result": names[step.result.symbol],
        }
    return frame.frame()
