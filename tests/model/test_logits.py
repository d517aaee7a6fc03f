"""Thinned logits say the same of the likeliest tokens as whole ones."""

from __future__ import annotations

import math

import pytest
import torch

from model.trace import logits
from model.trace.tensors import MemoryStore
from tests import bounds

pytestmark = pytest.mark.float32


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits, "WHOLE", 10)


def stores(rows: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryStore, MemoryStore]:
    """(whole, thinned)."""
    whole = MemoryStore(logits.parts(rows))
    monkeypatch.setattr(logits, "WHOLE", 10)
    return whole, MemoryStore(logits.parts(rows))


@pytest.mark.parametrize("shape", [(1, 64), (3, 65), (64, 100), (130, 1000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_thinned_equals_whole(shape: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch):
    rows = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 9).to(dtype)
    whole, thinned = stores(rows, monkeypatch)
    assert list(whole.names()) == ["logits"] and sum(t.numel() for t in thinned.held()) == shape[0] * 129 + 1
    for position in {0, shape[0] // 2, shape[0] - 1, -1}:
        exact = [p.item() for p in rows[position].double().softmax(0)]
        one, two = (logits.most_probable(store, position, 7) for store in (whole, thinned))
        for found in (one, two):
            assert [p for _, p in found] == pytest.approx(sorted(exact, reverse=True)[:7], rel=1e-5)
            assert all(p == pytest.approx(exact[i], rel=1e-5) for i, p in found)
        if dtype == torch.float32:
            assert [i for i, _ in one] == [i for i, _ in two]
    assert len(logits.most_probable(thinned, 0, 500)) == min(64, shape[1])
    assert len(logits.most_probable(whole, 0, 5000)) == shape[1]


def test_a_vocabulary_smaller_than_what_is_kept(thin):
    found = MemoryStore(logits.parts(torch.randn(5, 20)))
    assert sum(p for _, p in logits.most_probable(found, 2, 64)) == pytest.approx(1, abs=bounds.WEIGHT)


def test_the_difference_is_of_what_is_kept(monkeypatch: pytest.MonkeyPatch):
    rows = torch.randn(70, 90, generator=torch.Generator().manual_seed(2))
    whole, _ = stores(rows, monkeypatch)
    monkeypatch.setattr(logits, "WHOLE", 2**24)
    assert logits.max_difference(rows, whole) == 0.0
    assert logits.max_difference(rows + 0.25, whole) == bounds.near(0.25, size=rows)
    monkeypatch.setattr(logits, "WHOLE", 10)
    thinned = MemoryStore(logits.parts(rows))
    assert logits.max_difference(rows, thinned) == 0.0
    raised = rows.clone()
    raised[66, 5] += 50  # from here on the likeliest of its row
    assert logits.max_difference(raised, thinned) > 10
    assert logits.max_difference(rows, MemoryStore({})) is None and not logits.has_logits(MemoryStore({}))
    assert logits.most_probable(MemoryStore({}), 0, 5) == []


def test_a_nan_is_never_a_small_difference(monkeypatch: pytest.MonkeyPatch):
    rows = torch.randn(70, 90)
    broken = rows.clone()
    broken[3, 4] = math.nan
    whole, thinned = stores(rows, monkeypatch)
    assert not logits.max_difference(broken, thinned) <= 1e9
    monkeypatch.setattr(logits, "WHOLE", 2**24)
    assert math.isnan(logits.max_difference(broken, whole))


def test_runs_of_another_shape_do_not_compare(monkeypatch: pytest.MonkeyPatch):
    whole, thinned = stores(torch.randn(4, 90), monkeypatch)
    for store in (whole, thinned):
        assert math.isnan(logits.max_difference(torch.randn(3, 90), store))
