"""Temperature, top-k and top-p against the library's own, and texts drawn with a seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.checkpoints.own_decoder import own_decoder
from model.errors import HeadlightError
from model.generation.sampling import SamplingOptions, draw, entropy, stages, warp
from tests import bounds

pytestmark = pytest.mark.float32

TEXT = "the cat sat on the mat"


def naive(logits: np.ndarray, t: float, k: int, p: float) -> np.ndarray:
    """Probabilities after the three cuts, token by token in float64."""
    q = np.exp(logits / t - (logits / t).max())
    q /= q.sum()
    order = list(np.argsort(-q, kind="stable"))
    keep = order[:k] if k else order
    q = np.where(np.isin(np.arange(len(q)), keep), q, 0)
    q /= q.sum()
    mass, last = 0.0, 0
    for last, i in enumerate(keep, 1):  # noqa: B007
        mass += q[i]
        if p < 1 and mass > p:  # what follows holds less than 1 − p
            break
    q = np.where(np.isin(np.arange(len(q)), keep[:last]), q, 0)
    return q / q.sum()


@pytest.mark.parametrize("t", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("k", [0, 1, 7, 500])
@pytest.mark.parametrize("p", [0.05, 0.63, 0.9, 1.0])
def test_the_cuts_are_the_librarys(t: float, k: int, p: float):
    transformers = pytest.importorskip("transformers")
    scores = torch.randn(4, 50, generator=torch.Generator().manual_seed(round(100 * t + k + 10 * p))) * 3
    processors = transformers.LogitsProcessorList()
    if t != 1:
        processors.append(transformers.TemperatureLogitsWarper(t))
    if k:
        processors.append(transformers.TopKLogitsWarper(k))
    if p != 1:
        processors.append(transformers.TopPLogitsWarper(p))
    found = warp(scores, SamplingOptions(t, k, p))
    assert torch.equal(found, processors(torch.zeros(4, 1, dtype=torch.long), scores))
    for row, cut in zip(scores, found, strict=True):
        last = stages(row, SamplingOptions(t, k, p))[-1]
        np.testing.assert_allclose(last.probabilities, naive(row.double().numpy(), t, k, p), atol=bounds.WEIGHT)
        assert last.remaining == int(torch.isfinite(cut).sum())


def test_ties_with_the_kth_stay():
    found = warp(torch.tensor([[2.0, 1.0, 1.0, 0.0]]), SamplingOptions(top_k=2))
    assert torch.isfinite(found).tolist() == [[True, True, True, False]]


def test_each_stage_says_what_is_left():
    logits = torch.randn(40, generator=torch.Generator().manual_seed(1)) * 2
    found = stages(logits, SamplingOptions(1.5, 10, 0.8))
    assert [stage.name for stage in found] == ["model", "temperature", "top_k", "top_p"]
    z = logits.double().numpy()
    p = np.exp(z) / np.exp(z).sum()
    warm = np.exp(z / 1.5) / np.exp(z / 1.5).sum()
    np.testing.assert_allclose(found[0].probabilities, p, atol=1e-12)
    np.testing.assert_allclose(found[0].entropy, -(p * np.log(p)).sum(), atol=1e-12)
    bounds.close(found[1].entropy, -(warm * np.log(warm)).sum(), 1024)
    ten = np.sort(warm)[::-1][:10]
    assert (found[2].remaining, found[2].mass) == (10, pytest.approx(ten.sum(), abs=bounds.WEIGHT))
    kept = int((np.cumsum(ten / ten.sum()) < 0.8).sum()) + 1
    assert (found[3].remaining, found[3].mass) == (
        kept,
        pytest.approx((ten / ten.sum())[:kept].sum(), abs=bounds.WEIGHT),
    )


def test_entropy_of_what_is_known():
    assert entropy(torch.full((8,), 1 / 8, dtype=torch.float64)) == pytest.approx(3 * math.log(2), abs=1e-12)
    assert entropy(torch.tensor([1.0, 0.0], dtype=torch.float64)) == 0


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.01}])
def test_what_is_out_of_range_is_refused(wrong: dict):
    with pytest.raises(HeadlightError):
        SamplingOptions(**wrong)


def test_drawn_texts_and_their_probabilities(make_model):
    model = make_model()
    decoder = own_decoder(model, model.trace(TEXT, "猫"))
    how = SamplingOptions(2.0, 9, 0.9)
    first, again, other = (draw(decoder, 4, 12, how, seed) for seed in (3, 3, 4))
    assert first == again != other and len({each.tokens for each in first}) > 1
    for each in first:
        assert each.ended == (each.tokens[-1] in decoder.ends) and 0 not in each.tokens
        assert not set(each.tokens[:-1]) & decoder.ends
        assert each.ended or len(each.tokens) == 12
        for n, token in enumerate(each.tokens):
            row = decoder.logits(torch.tensor([[*decoder.start, *each.tokens[:n]]]))[0].double().numpy()
            plain = row[token] - np.log(np.exp(row).sum())
            row[0] = -np.inf
            assert each.log_p[n] == bounds.near(plain, 1024)
            assert each.log_p_cut[n] == bounds.near(np.log(naive(row, 2.0, 9, 0.9)[token]), 1024)


def test_frequencies_are_the_probabilities(make_model):
    """One token each of 4,000 texts: no further from p than chance allows (5 standard deviations)."""
    model = make_model()
    decoder = own_decoder(model, model.trace(TEXT, "猫"))
    how, many = SamplingOptions(1.3, 6, 1.0), 4000
    counts = np.bincount([each.tokens[0] for each in draw(decoder, many, 1, how, 0)], minlength=15)
    logits = decoder.logits(torch.tensor([list(decoder.start)]))[0]
    logits[0] = -torch.inf
    p = stages(logits, how)[-1].probabilities.numpy()
    assert (np.abs(counts / many - p) <= 5 * np.sqrt(p * (1 - p) / many) + 1e-12).all()
