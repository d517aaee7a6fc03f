"""The cell that is selected where nobody has: of a package that says so, one behind a token of its text."""

from __future__ import annotations

import numpy as np
import pytest

from model import Trace
from model.measures.default_cell import first_cell

SITE = "encoder.1.self"


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("head", range(4))
def test_only_rows_behind_a_token_count_and_keys_before_it(trace: Trace, head: int, at: int) -> None:
    texts = trace.tokens("encoder")
    at = texts.index(texts[at])
    row, column = first_cell(trace, SITE, head, after=texts[at])
    assert row > at > column
    weights = trace.weights(SITE, head).numpy()
    words = np.array([not special for special in trace.side("encoder").special])
    choice = weights[at + 1 :, :at] * words[:at] * (np.arange(at) > 0)  # the first token is a habit of most heads
    expected = choice if choice.max() > 0.2 else weights[at + 1 :, :at]
    assert weights[row, column] == pytest.approx(expected.max())


@pytest.mark.parametrize("after", ["", "absent"])
def test_without_that_token_every_row_counts(trace: Trace, after: str) -> None:
    for site in ("encoder.0.self", "decoder.1.cross"):
        assert first_cell(trace, site, 0, after) == first_cell(trace, site, 0)


def test_where_nothing_lies_before_the_token_every_row_counts(trace: Trace) -> None:
    texts = trace.tokens("encoder")
    assert first_cell(trace, SITE, 0, texts[0]) == first_cell(trace, SITE, 0)
    assert first_cell(trace, "decoder.1.cross", 0, trace.tokens("encoder")[2]) == first_cell(
        trace, "decoder.1.cross", 0
    )
