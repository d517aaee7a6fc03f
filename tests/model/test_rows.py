"""Rows and columns of a head against the whole float64 softmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.attention.rows import _sums, blocks, column, combined, row, strongest, whole_rows
from model.errors import OutOfRange, UnknownOption
from tests import bounds
from tests.model.test_downsample import MORE, SITE, record, weights

pytestmark = pytest.mark.float32

BOUND = 1e-12


def with_lse(found):
    """The record with the log-sum-exp that a float32 kernel leaves: rounded, and off where scores are large."""
    for head in range(found.heads):
        scores = found.scores(head, dtype=torch.float64)
        sink = found.sink(head, torch.float64)
        wide = scores if sink is None else torch.cat([scores, sink.expand(len(scores), 1)], 1)
        lse = torch.logsumexp(wide, -1).nan_to_num(neginf=0.0).float() + 1e-6 * torch.randn(len(scores))
        kept = lse[None] if not head else torch.cat([found.store[f"{SITE}.lse"], lse[None]])
        found.store.add(f"{SITE}.lse", kept)
    return found


@pytest.mark.parametrize("kind", MORE)
@pytest.mark.parametrize("n", [5, 61])
@pytest.mark.parametrize("known", [False, True], ids=["without lse", "with lse"])
def test_rows_and_columns_are_those_of_the_softmax(kind: str, n: int, known: bool):
    torch.manual_seed(n)
    found = MORE[kind](n, n + 9)
    found = with_lse(found) if known else found
    for head in (0, 3):
        exact = weights(found, head)
        for i in {0, 3, found.queries - 1}:
            np.testing.assert_allclose(row(found, head, i).numpy(), exact[i], atol=BOUND, rtol=0)
        for j in {0, 4, found.keys - 1}:
            bound = 1e-7 if known else BOUND  # below a weight of 0.01 the recorded log-sum-exp stays
            np.testing.assert_allclose(column(found, head, j).numpy(), exact[:, j], atol=bound, rtol=0)
        together = np.zeros_like(exact)
        for rows, first, block in blocks(found, head):
            together[rows, first : first + block.shape[1]] = block
        np.testing.assert_allclose(together, exact, atol=BOUND, rtol=0)


def test_blocks_of_a_few_rows_are_the_same(monkeypatch):
    monkeypatch.setattr("model.attention.rows.CELLS", 150)
    for kind in ("causal", "sliding", "explicit", "sinks"):
        found = MORE[kind](31, 31)
        exact = weights(found, 1)
        parts = list(blocks(found, 1, slice(5, 29)))
        assert len(parts) > 4 and (parts[0][0].start, parts[-1][0].stop) == (5, 29)
        for rows, first, block in parts:
            np.testing.assert_allclose(block, exact[rows, first : first + block.shape[1]], atol=BOUND, rtol=0)
        whole = list(whole_rows(found, 1, slice(5, 29)))
        assert [rows for rows, _ in whole] == [rows for rows, _, _ in parts]
        np.testing.assert_allclose(torch.cat([block for _, block in whole]), exact[5:29], atol=BOUND, rtol=0)
        np.testing.assert_allclose(column(found, 1, 2), exact[:, 2], atol=BOUND, rtol=0)


def test_the_sums_of_a_column_are_kept():
    found = record(40, 40)
    column(found, 2, 0)
    known = _sums.get(found, 2, pytest.fail).clone()
    assert not known.isnan().any()  # no log-sum-exp was recorded
    np.testing.assert_allclose(column(found, 2, 7), weights(found, 2)[:, 7], atol=BOUND, rtol=0)
    assert torch.equal(_sums.get(found, 2, pytest.fail), known)


def test_half_precision_does_not_trust_a_log_sum_exp_of_before_the_rounding():
    found = with_lse(record(33, 33))
    for part in "qk":
        found.store.add(f"{SITE}.{part}", found.store[f"{SITE}.{part}"].half())
    np.testing.assert_allclose(column(found, 1, 5), weights(found, 1)[:, 5], atol=BOUND, rtol=0)


def test_heads_are_combined_token_by_token():
    found = record(12, 12)
    rows = [row(found, head, 4) for head in (0, 2, 3)]
    exact = np.stack([weights(found, head)[4] for head in (0, 2, 3)])
    np.testing.assert_allclose(combined(rows, "mean"), exact.mean(0), atol=BOUND)
    np.testing.assert_allclose(combined(rows, "max"), exact.max(0), atol=BOUND)
    with pytest.raises(UnknownOption):
        combined(rows, "median")


def test_the_strongest_come_first():
    assert strongest(torch.tensor([0.1, 0.5, 0.0, 0.1, 0.3], dtype=torch.float64), 3) == [(1, 0.5), (4, 0.3), (0, 0.1)]
    assert strongest(torch.tensor([0.0, 1.0]), 5) == [(1, 1.0)]


def test_what_is_not_there_is_said():
    found = record(6, 9)
    for call in (
        lambda: row(found, 0, 6),
        lambda: column(found, 0, 9),
        lambda: row(found, 4, 0),
        lambda: column(found, 0, -1),
    ):
        with pytest.raises(OutOfRange):
            call()


@pytest.mark.parametrize("kind", MORE)
def test_a_part_of_the_weights_is_that_part_of_the_softmax(kind: str, monkeypatch):
    """Whatever rounding the recorded log-sum-exp has, and however few rows are held at once."""
    torch.manual_seed(5)
    found = with_lse(MORE[kind](29, 37))
    exact = weights(found, 2)
    for rows in (slice(0, 29), slice(7, 8), slice(20, 29), torch.tensor([3, 17, 4])):
        for columns in (slice(0, 1), slice(5, 19), slice(30, 37)):
            for cells in (2**20, 40, 200):
                monkeypatch.setattr("model.trace.attention_record.CELLS", cells)
                part = found.weights(2, rows, columns, torch.float64).numpy()
                np.testing.assert_allclose(part, exact[rows][:, columns], atol=BOUND, rtol=0)
                near = found.weights(2, rows, columns).numpy()
                np.testing.assert_allclose(near, exact[rows][:, columns], atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize("kind", MORE)
def test_a_part_of_rows_and_columns_is_the_softmax_of_whole_rows(kind: str, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(7)
    found = with_lse(MORE[kind](37, 46))
    q, k = found.queries, found.keys
    found.store.add(f"{SITE}.lse", found.store[f"{SITE}.lse"] + 1e-3)  # nothing may come of a rounded one
    parts = (
        (slice(3, 30), slice(2, 29)), (slice(None), slice(5, 6)), (torch.tensor([0, 7, 8, q - 1]), slice(1, k - 1)),
        (slice(q - 1, None), slice(k - 1, None)), (slice(4, 4), slice(1, 4)), (slice(0, q, 3), slice(0, k, 2)),
    )  # fmt: skip
    for cells in (2**20, 150):
        monkeypatch.setattr("model.trace.attention_record.CELLS", cells)
        for head in (0, 3):
            exact = weights(found, head)
            for rows, columns in parts:
                want = exact[rows][:, columns]
                got = found.weights(head, rows, columns, torch.float64)
                np.testing.assert_allclose(got.numpy(), want, atol=BOUND, rtol=0)
                single = found.weights(head, rows, columns)
                assert single.dtype == torch.float32
                np.testing.assert_allclose(single.numpy(), want, atol=bounds.off(1.0), rtol=0)


def test_large_scores_of_a_float32_record_are_exact_in_a_part():
    found = record(300, 300)
    for part in "qk":
        found.store.add(f"{SITE}.{part}", 4 * found.store[f"{SITE}.{part}"].float())
    found.store.add(f"{SITE}.lse", torch.stack([torch.logsumexp(found.scores(h), -1) for h in range(found.heads)]))
    exact = weights(found, 1)
    assert exact.max() > 0.99 and float(found.scores(1).max()) > 60
    np.testing.assert_allclose(
        found.weights(1, slice(9, 280), slice(4, 250)).numpy(), exact[9:280, 4:250], atol=bounds.WEIGHT, rtol=0
    )
