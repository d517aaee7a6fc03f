"""What the page Heads shows of a long head is that of the whole, and the whole never stands in memory."""

from __future__ import annotations

import numpy as np
import pytest

from model import open_model
from model.measures.default_cell import first_cell
from model.trace.attention_record import AttentionRecord
from tests import bounds
from tests.viz.blocks import by_block
from viz.base import cell_states
from viz.base.axes import map_axes
from viz.base.payload import unpack
from viz.heads import color_scale, matrix

pytestmark = pytest.mark.float32

TEXT = " ".join(["the cat sat on the mat"] * 12)


@pytest.fixture
def trace():
    return open_model("translate").trace(TEXT, language="zh")


@pytest.mark.parametrize("cells", [2**20, 300])
def test_blocks_of_rows_say_what_the_whole_says(trace, monkeypatch, cells: int) -> None:
    whole = {}
    for name in ("encoder.1.self", "decoder.0.self", "decoder.1.cross"):
        record = trace.record(name)
        for head in range(record.heads):
            A, allowed = record.weights(head).numpy(), record.allowed().numpy()
            whole[name, head] = (
                by_block(A, allowed, map_axes(record)),
                float(A[allowed].max()),
                first_cell(trace, name, head),
            )
    monkeypatch.setattr("model.attention.rows.CELLS", cells)
    matrix._blocks.clear()
    color_scale._largest.clear()
    for (name, head), ((values, open_), most, cell) in whole.items():
        record = trace.record(name)
        _, arrays = unpack(
            matrix.map_frame(trace, record.site, head, (0, 0), dict.fromkeys(("query", "key", "query_decoder"), ""))
        )
        np.testing.assert_allclose(arrays["values"], values, atol=bounds.WEIGHT)
        assert ((arrays["state"] == cell_states.MASKED) == ~open_).all()
        assert color_scale._of_all(record, head) == pytest.approx(most, abs=bounds.WEIGHT)
        assert first_cell(trace, name, head) == cell


def test_no_more_cells_are_asked_for_than_may_be_held(trace, monkeypatch) -> None:
    monkeypatch.setattr("model.attention.rows.CELLS", 500)
    asked = []
    real = AttentionRecord.scores

    def scores(self, *which, **named):
        found = real(self, *which, **named)
        asked.append(found.numel())
        return found

    monkeypatch.setattr(AttentionRecord, "scores", scores)
    site = trace.record("encoder.1.self").site
    color_scale._largest.clear()
    color_scale._of_all(trace.record(site), 0)
    first_cell(trace, site, 1)
    assert max(asked) <= 500 and sum(asked) == 2 * 72 * 72
