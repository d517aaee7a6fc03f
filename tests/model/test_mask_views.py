"""Masks on recorded scores, and the usual mistakes, against numpy written out row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import open_model
from model.attention import mask_effects
from model.errors import OutOfRange
from model.transformer.masks import RuleMask
from tests import bounds
from tests.model.test_variants import made

pytestmark = pytest.mark.float32

EXACT = {"atol": 1e-12, "rtol": 0}


def softmax(row: np.ndarray) -> np.ndarray:
    if np.isneginf(row).all():
        return np.zeros_like(row)
    e = np.exp(row - row.max())
    return e / e.sum()


def allowed(kind: str, n: int, k: int, real: int, width: int, back: bool = False) -> np.ndarray:
    cells = np.ones((n, k), bool)
    for i in range(n):
        for j in range(k):
            if kind in ("padding", "both") and j >= real:
                cells[i, j] = False
            if kind in ("causal", "both") and j > i:
                cells[i, j] = False
            if kind == "window" and abs(i - j) >= width:
                cells[i, j] = False
            if kind == "window" and back and j > i:
                cells[i, j] = False
    return cells


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("kind", mask_effects.KINDS[1:])
@pytest.mark.parametrize(("real", "width"), [(3, 2), (0, 1), (6, 6), (1, 3)])
def test_every_mask_is_numpys(kind: str, real: int, width: int, back: bool) -> None:
    record = made(q=6, causal=back)
    single = record.select([1], torch.float64)
    found = mask_effects.masked(single, mask_effects.mask_of(record, kind, real, width))
    q, k = (record.head(part, 1, torch.float64).numpy() for part in "qk")
    scores = q @ k.T * record.scale
    cells = allowed(kind, 6, 6, real, width, back)
    np.testing.assert_allclose(found.scores, scores, **EXACT)
    np.testing.assert_array_equal(found.allowed, cells)
    np.testing.assert_allclose(found.open, [softmax(row) for row in scores], **EXACT)
    expected = np.array([softmax(np.where(c, row, -np.inf)) for row, c in zip(scores, cells, strict=True)])
    np.testing.assert_allclose(found.weights, expected, **EXACT)
    lost = np.where(cells, 0, found.open).sum(1)
    np.testing.assert_allclose(found.masked_mass, lost, **EXACT)
    for i in range(6):  # what the forbidden had goes to the others in proportion
        if cells[i].any():
            np.testing.assert_allclose(
                expected[i], np.where(cells[i], found.open[i], 0) / float(found.allowed_mass[i]), **EXACT
            )
        else:
            assert not expected[i].any()


def test_as_recorded_is_as_recorded() -> None:
    trace = open_model("translate").trace("the cat sat on the mat", language="zh")
    for site in trace.sites:
        record = trace.record(site)
        for head in range(record.heads):
            found = mask_effects.masked(
                record.select([head], torch.float64), mask_effects.mask_of(record, "recorded", 0, 1)
            )
            np.testing.assert_allclose(found.weights, record.weights(head, dtype=torch.float64), **EXACT)


def test_rows_are_a_part_of_the_whole() -> None:
    single = made(q=7).select([0], torch.float64)
    whole, part = (mask_effects.masked(single, RuleMask(True), rows) for rows in (slice(None), slice(2, 5)))
    for name in ("scores", "allowed", "open", "weights"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[2:5])


def test_what_suits_a_cross_attention() -> None:
    assert mask_effects.kinds(made(q=3, k=6)) == ("recorded", "none", "padding")
    assert mask_effects.kinds(made(q=4)) == mask_effects.KINDS


@pytest.mark.parametrize("real", [-1, 8])
def test_more_real_keys_than_keys(real: int) -> None:
    with pytest.raises(OutOfRange):
        mask_effects.real_keys(7, real)


def test_a_mask_on_the_queries_makes_nan_and_spreads() -> None:
    single = made(q=6, causal=False).select([0], torch.float64)
    weights, context = mask_effects.on_queries(single, 4)
    assert weights[4:].isnan().all() and context[4:].isnan().all()
    assert not weights[:4].isnan().any() and not context[:4].isnan().any()
    plain = mask_effects.masked(single, RuleMask())
    np.testing.assert_allclose(weights[:4], plain.open[:4], **EXACT)
    part, _ = mask_effects.on_queries(single, 4, slice(3, 6))
    np.testing.assert_array_equal(part, weights[3:6])
    right = mask_effects.masked(single, mask_effects.mask_of(single, "padding", 4, 1))
    assert not right.weights.isnan().any() and not right.weights[:, 4:].any()


def test_the_mistakes_come_beside_the_models_own_mask() -> None:
    record = made(q=6, causal=True)
    single, gone = record.select([2], torch.float64), torch.tensor([True, False, False, True, False, False])
    q, k = (record.head(part, 2, torch.float64).numpy() for part in "qk")
    scores = np.where(np.tri(6, dtype=bool), q @ k.T * record.scale, -np.inf)
    weights, _ = mask_effects.on_queries(single, 4)
    np.testing.assert_allclose(weights[:4], [softmax(row) for row in scores[:4]], **EXACT)
    found = mask_effects.with_keys_masked(single, gone, slice(0, 5))
    cells = np.tri(6, dtype=bool)[:5] & ~gone.numpy()
    np.testing.assert_array_equal(found.allowed, cells)
    np.testing.assert_allclose(found.open, [softmax(row) for row in scores[:5]], **EXACT)
    expected = [softmax(np.where(c, row, -np.inf)) for c, row in zip(cells, scores[:5], strict=True)]
    np.testing.assert_allclose(found.weights, expected, **EXACT)
    assert not expected[0].any()  # its only key is gone


def test_the_fused_row_is_torchs_own() -> None:
    row = mask_effects.fused_row(made(q=5).select([2], torch.float64))
    assert row.shape == (4,) and (bool(row.isnan().all()) or not row.any())


def test_ids_from_zero_collide_with_the_padding() -> None:
    ids = mask_effects.counted_from_zero(["the", "cat", "sat", "on", "the", "mat"])
    assert ids == [0, 1, 2, 3, 0, 4]
    assert mask_effects.hidden(ids).tolist() == [True, False, False, False, True, False]
    cells = RuleMask(keys=~mask_effects.hidden(ids)).allowed(3, 6)
    np.testing.assert_array_equal(cells, [[False, True, True, True, False, True]] * 3)


def test_after_the_softmax_rows_fall_short() -> None:
    found = mask_effects.masked(made(q=5).select([0], torch.float64), RuleMask(True))
    wrong = mask_effects.after_softmax(found)
    np.testing.assert_allclose(wrong.sum(-1), 1 - found.masked_mass, **EXACT)
    assert float(wrong.sum(-1)[0]) < 0.9


def test_fillings() -> None:
    scores, cells = torch.tensor([1.0, -2.0, 0.5, 3.0]).double(), torch.tensor([True, True, False, False])
    found = {(fill.dtype, fill.name): fill for fill in mask_effects.fills(scores, cells)}
    assert len(found) == 12
    for dtype in mask_effects.DTYPES:
        infinite = found[dtype, "-inf"]
        assert infinite.leak == 0 and all(math.isnan(value) for value in infinite.dead)
    for dtype in ("float32", "bfloat16"):  # 1e9 swallows the scores: everything alike
        assert found[dtype, "-1e9"].dead == (0.25, 0.25) and found[dtype, "-1e9"].leak == 0
        assert found[dtype, "min"].dead == (0.25, 0.25)
    least, most = found["float64", "-1e9"].dead  # here the scores are still there: as if nothing were masked
    expected = softmax(scores.numpy())
    assert (least, most) == pytest.approx((expected.min(), expected.max()), abs=bounds.WEIGHT)
    assert all(math.isnan(value) for value in found["float16", "-1e9"].dead)  # −1e9 is −∞ there
