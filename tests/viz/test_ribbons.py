"""Lines between tokens for a file: every weight worth a line is one, with its own numbers, and the files draw."""

from __future__ import annotations

import numpy as np
import pytest

from viz.base import static_chart, svg
from viz.heads import ribbons


def weights(q: int, k: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), q)
    return values.astype(np.float32)


def test_the_lines_are_the_weights() -> None:
    given = {0: weights(4, 5), 3: weights(4, 5, 1)}
    table = ribbons.line_table(given)
    assert len(table) == sum(int((values >= ribbons.LEAST).sum()) for values in given.values())
    for row in table.itertuples():
        assert row.weight == given[row.head][row.query, row.key] >= ribbons.LEAST


def test_nan_is_no_line_and_many_are_cut_to_the_largest(monkeypatch) -> None:
    values = weights(6, 6)
    values[0, 0] = np.nan
    assert not np.isnan(ribbons.line_table({0: values})["weight"]).any()
    monkeypatch.setattr(ribbons, "MOST", 5)
    kept = ribbons.line_table({0: weights(6, 6)})["weight"].to_numpy()
    np.testing.assert_array_equal(np.sort(kept), np.sort(weights(6, 6).ravel())[-5:])


@pytest.mark.parametrize("across", [True, False])
def test_the_drawing_names_every_token(across: bool) -> None:
    rows, columns = ["我", "喜欢", "it's"], ["I", "like", "<cats>", '"']
    picture = ribbons.chart({1: weights(3, 4)}, rows, columns, across, "head {head}")
    drawn = static_chart.svg(picture).decode()
    for text in ("我", "喜欢", "it's", "like", "&lt;cats&gt;", "head 1"):
        assert text in drawn
    assert svg.png(static_chart.svg(picture).decode()).startswith(b"\x89PNG")


def test_keys_stand_above_and_queries_left() -> None:
    assert (ribbons.table_end(True, True), ribbons.table_end(True, False)) == (1.0, 0.0)
    assert (ribbons.table_end(False, True), ribbons.table_end(False, False)) == (0.0, 1.0)
