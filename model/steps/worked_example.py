"""Self-attention small enough to do by hand: one head, integer inputs, every step in float64, nothing hidden."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from model.errors import HeadlightError

_LONGEST = 10_000  # characters of a link
INPUTS = ("x", "w_query", "w_key", "w_value")


class BadMatrix(HeadlightError):
    code = "bad_matrix"
    sentence = "{what} has {got}, but {rule}."


@dataclass(frozen=True, eq=False)
class HandSized:
    """All of it: rows are queries. `unscaled` follows the teaching text, `scaled` the paper, `rounded` is for reading."""

    x: np.ndarray
    w_query: np.ndarray
    w_key: np.ndarray
    w_value: np.ndarray
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    scores: np.ndarray
    scores_scaled: np.ndarray
    weights_unscaled: np.ndarray
    weights_scaled: np.ndarray
    weights_rounded: np.ndarray
    output_unscaled: np.ndarray
    output_scaled: np.ndarray
    output_rounded: np.ndarray


@cache
def fixture() -> dict[str, np.ndarray]:
    """The inputs X, W_Q, W_K, W_V of the worked example, and its results to nine digits."""
    text = (Path(__file__).parent / "worked_example.json").read_text(encoding="utf-8")
    return {name: np.array(value, dtype=np.float64) for name, value in json.loads(text).items() if name != "about"}


def to_text(inputs: dict[str, np.ndarray]) -> str:
    """The four inputs on one line for a link, cells by `,`, rows by `;`, matrices by `|`; "" for the worked example's own."""
    if all(np.array_equal(inputs[name], fixture()[name]) for name in INPUTS):
        return ""
    rows = [[",".join(f"{cell:.7g}" for cell in row) for row in inputs[name]] for name in INPUTS]
    return "|".join(";".join(matrix) for matrix in rows)


def from_text(text: str) -> dict[str, np.ndarray] | None:
    """The inverse of `to_text`; None for "" and for anything that is not four finite matrices of the example's sizes."""
    if len(text) > _LONGEST:
        return None
    try:
        parts = [[[float(cell) for cell in row.split(",")] for row in part.split(";")] for part in text.split("|")]
        found = {name: np.array(part) for name, part in zip(INPUTS, parts, strict=True)}
    except ValueError:
        return None
    fits = all(m.shape == fixture()[name].shape and np.isfinite(m).all() for name, m in found.items())
    return found if fits else None


def softmax(scores: np.ndarray) -> np.ndarray:
    """Row by row, the row's maximum taken out first so that large scores cannot overflow."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def rounded_to_tenths(weights: np.ndarray) -> np.ndarray:
    """Each row in tenths that still sum to 1: what is left after cutting goes to the largest remainders.

    Plain rounding would turn (0.06, 0.47, 0.47) into tenths that sum to 1.1.
    """
    cut = np.floor(weights * 10 + 1e-9)
    tenths = cut.copy()
    for i, remainder in enumerate(weights * 10 - cut):
        missing = int(round(10 - cut[i].sum()))
        # A stable sort keeps the earlier key first among equal remainders.
        tenths[i, np.argsort(-remainder, kind="stable")[:missing]] += 1
    return tenths / 10


def attention_by_hand(x: np.ndarray, w_query: np.ndarray, w_key: np.ndarray, w_value: np.ndarray) -> HandSized:
    """x [n, d], w_query and w_key [d, d_k], w_value [d, d_v] -> every step. Raises BadMatrix for empty or odd cells."""
    names = {"X": x, "W_Q": w_query, "W_K": w_key, "W_V": w_value}
    matrices = [np.asarray(matrix, dtype=np.float64) for matrix in names.values()]
    for name, matrix in zip(names, matrices, strict=True):
        if not np.isfinite(matrix).all():
            raise BadMatrix(what=name, got="an empty or non-finite cell", rule="every cell must be a number")
        if np.abs(matrix).max(initial=0) > 1e6:
            raise BadMatrix(what=name, got="a cell beyond ±1,000,000", rule="the cells must stay within it")
    x, w_query, w_key, w_value = matrices
    query, key, value = x @ w_query, x @ w_key, x @ w_value
    scores = query @ key.T
    scaled = scores / np.sqrt(query.shape[1])
    weights = {"unscaled": softmax(scores), "scaled": softmax(scaled)}
    rounded = rounded_to_tenths(weights["unscaled"])
    return HandSized(
        x, w_query, w_key, w_value, query, key, value, scores, scaled,
        weights["unscaled"], weights["scaled"], rounded,
        weights["unscaled"] @ value, weights["scaled"] @ value, rounded @ value,
    )  # fmt: skip
