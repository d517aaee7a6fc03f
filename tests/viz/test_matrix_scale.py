"""The end of a matrix's colours: round, never below what is shown unless it was told so, and then drawn as clipped."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from model.trace.site import Site
from viz.base import axes
from viz.base.cell_states import CLIPPED, MASKED, NAN, PLAIN
from viz.base.payload import unpack
from viz.heads import color_scale, matrix
from viz.heads.matrix import map_frame, matrix_frame

pytestmark = pytest.mark.float32


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (1.0, 1.0), (0.999, 1.0), (0.51, 1.0), (0.5, 0.5), (0.21, 0.5), (0.2, 0.2), (0.19, 0.2), (0.11, 0.2), (0.1, 0.1),
        (0.0999, 0.1), (0.0388, 0.05), (0.05000001, 0.05), (0.0501, 0.1), (0.011, 0.02), (3e-7, 5e-7), (1.3, 2.0),
        (0.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (-0.1, 1.0),
    ],
)  # fmt: skip
def test_the_end_is_the_next_1_2_or_5(value: float, end: float) -> None:
    assert color_scale.round_up(value) == end


def test_every_size_is_below_its_end_and_not_far() -> None:
    for value in np.geomspace(1e-12, 10, 4001):
        end = color_scale.round_up(float(value))
        assert value * (1 - 1e-6) <= end <= value * 2.5001
        assert f"{end:.6e}"[:8] in ("1.000000", "2.000000", "5.000000")


@pytest.mark.parametrize(
    ("most", "scale", "end"),
    [(0.19, "", 0.2), (0.2, "", 1.0), (0.19, "1", 1.0), (0.9, "max", 1.0), (0.4, "max", 0.5), (0.0, "", 1.0), (0.0, "max", 1.0)],
)  # fmt: skip
def test_nobody_chose_or_somebody_did(most: float, scale: str, end: float) -> None:
    assert color_scale.end(most, scale) == end


class Record:
    """A record of one head with these weights."""

    def __init__(self, weights: np.ndarray, allowed: np.ndarray):
        self.found, self.open = weights.astype(np.float32), allowed
        self.queries, self.keys = weights.shape
        self.heads = 1
        self.mask, self.left_out = SimpleNamespace(causal=False), None

    def weights(self, head: int, rows: slice = slice(None), columns: slice = slice(None), dtype: object = None):
        return SimpleNamespace(numpy=lambda: self.found[rows, columns])

    def allowed(self, rows: slice = slice(None), columns: slice = slice(None)):
        return SimpleNamespace(numpy=lambda: self.open[rows, columns])


def labels(n: int) -> list[dict[str, str]]:
    return [{"text": str(i), "kind": "word"} for i in range(n)]


def test_masked_and_broken_cells_do_not_count() -> None:
    weights = np.array([[0.03, 0.9], [np.nan, 0.04]])
    record = Record(weights, np.array([[True, False], [True, True]]))
    shown = (axes.token_axis(labels(2)), axes.token_axis(labels(2)))
    assert color_scale.largest(record, 0, shown) == pytest.approx(0.04)
    nothing = Record(np.full((2, 2), np.nan), np.ones((2, 2), bool))
    assert color_scale.largest(nothing, 0, shown) == 0


def test_a_window_shares_the_end_with_the_map_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.full((6, 6), 0.01)
    weights[5, 5] = 0.15
    record = Record(weights, np.ones((6, 6), bool))
    window = (axes.token_axis(labels(6), 0, 3), axes.token_axis(labels(6), 0, 3))
    monkeypatch.setattr(color_scale, "in_blocks", lambda record, head: [(slice(0, 6), record.found)])
    assert color_scale.largest(record, 0, window) == pytest.approx(0.15)


def test_words_may_weigh_more_than_any_token() -> None:
    record = Record(np.full((4, 4), 0.25), np.ones((4, 4), bool))
    shown = (axes.token_axis(labels(4)), axes.word_axis(labels(4), (0, 0, 1, 1)))
    assert color_scale.largest(record, 0, shown) == pytest.approx(0.5)


@pytest.mark.parametrize("drawn", ["matrix", "map"])
def test_what_passes_the_end_is_clipped_and_stays_itself(drawn: str, words: dict, monkeypatch) -> None:
    site = Site.parse("decoder.0.self")
    weights = np.array([[1, 0.7, 0.2], [0.05, 0.0500001, np.nan], [0.06, 0.01, 0.0]])
    allowed = np.array([[True, False, True], [True, True, True], [True, True, True]])
    record = Record(weights, allowed)
    shown = (axes.token_axis(labels(3)), axes.token_axis(labels(3)))
    run = SimpleNamespace(record=lambda site: record, written=list)
    monkeypatch.setattr(matrix, "_strongest_of_blocks", lambda record, head: (record.found, record.open))
    if drawn == "matrix":
        frame = matrix_frame(run, site, 0, None, words, axes=shown, end=0.05)
    else:
        frame = map_frame(run, site, 0, None, words, end=0.05)
    header, arrays = unpack(frame)
    assert header["scale"] == {"kind": "sequential", "low": 0, "high": 0.05}
    expected = [[CLIPPED, MASKED, CLIPPED], [PLAIN, PLAIN, NAN], [CLIPPED, PLAIN, PLAIN]]
    np.testing.assert_array_equal(arrays["state"], expected)
    np.testing.assert_array_equal(arrays["values"], weights.astype(np.float32))
