"""A head without its first token, against whole float64 rows in numpy; nothing is made to sum to 1 unless it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace
from model.attention import downsample, rows, tiles, top_weights
from model.attention.without_sink import _record, sink_share, without_sink
from tests.model.test_downsample import MORE, weights

BOUND = 1e-12
FLOAT32 = 4e-6  # pictures are made in it, of scores up to 30


def left(found, head: int, scaled: bool) -> np.ndarray:
    """[q, k] from the definition: the first key's column is 0, and a row is divided by what is left where it is scaled."""
    exact = weights(found, head)
    exact[:, 0] = 0
    if scaled:
        sums = exact.sum(1, keepdims=True)
        exact = np.divide(exact, sums, out=np.zeros_like(exact), where=sums > 0)
    return exact


@pytest.mark.parametrize("scaled", [False, True], ids=["as it is", "scaled"])
@pytest.mark.parametrize("kind", MORE)
def test_every_other_weight_stays_what_it_was(kind: str, scaled: bool):
    found = MORE[kind](23, 29)
    picture = _record(found, scaled)
    assert not picture.allowed()[:, 0].any() and torch.equal(picture.allowed()[:, 1:], found.allowed()[:, 1:])
    for head in (0, 3):
        exact = left(found, head, scaled)
        np.testing.assert_allclose(picture.weights(head, dtype=torch.float64), exact, atol=BOUND, rtol=0)
        tile = picture.weights(head, slice(3, 9), slice(0, 5), torch.float64)
        np.testing.assert_allclose(tile, exact[3:9, :5], atol=BOUND, rtol=0)
        one = picture.select([head], torch.float64)
        np.testing.assert_allclose(one.weights(0, dtype=torch.float64), exact, atol=BOUND, rtol=0)
        for j in (0, 4):
            np.testing.assert_allclose(rows.column(picture, head, j), exact[:, j], atol=BOUND, rtol=0)
        for here, part in rows.whole_rows(picture, head):
            np.testing.assert_allclose(part, exact[here], atol=BOUND, rtol=0)
        np.testing.assert_allclose(downsample.pooled(picture, head, 64), exact, atol=FLOAT32, rtol=0)
        np.testing.assert_allclose(tiles.strip(picture, head, 0, 0).values, exact, atol=FLOAT32, rtol=0)
        lines = top_weights.strong_lines(picture, head, top_weights.Rule("least", 0.02))
        assert set(zip(lines.rows.tolist(), lines.columns.tolist(), strict=True)) == set(
            map(tuple, np.argwhere(exact >= 0.02).tolist())
        )
        assert abs(lines.mass - exact.sum()) < 1e-9
        assert abs(sink_share(found, head) - weights(found, head)[:, 0].mean()) < BOUND


def test_a_recorded_log_sum_exp_is_of_the_rows_as_the_model_has_them():
    found = MORE["causal"](23, 23)
    lse = torch.stack([torch.logsumexp(found.scores(head, dtype=torch.float64), -1) for head in range(found.heads)])
    found.store.add(f"{found.site}.lse", lse)
    for scaled in (False, True):
        exact = left(found, 1, scaled)
        np.testing.assert_allclose(rows.column(_record(found, scaled), 1, 4), exact[:, 4], atol=BOUND, rtol=0)


def test_a_run_without_the_sink_is_made_once(trace: Trace):
    picture = without_sink(trace)
    assert picture is without_sink(trace) and picture is not without_sink(trace, scaled=True)
    assert picture.sites == trace.sites and picture.key == trace.key
    site = trace.sites[0]
    assert torch.equal(picture.weights(site, 1)[:, 1:], trace.weights(site, 1)[:, 1:])
    assert not picture.weights(site, 1)[:, 0].any()
    whole = without_sink(trace, scaled=True).weights(site, 1).sum(-1)
    torch.testing.assert_close(whole, torch.ones_like(whole), atol=1e-5, rtol=0)


def test_a_head_with_a_single_key_has_nothing_left():
    found = MORE["causal"](1, 1)
    for scaled in (False, True):
        assert not _record(found, scaled).weights(0).any()
    assert sink_share(found, 0) == pytest.approx(1.0)
