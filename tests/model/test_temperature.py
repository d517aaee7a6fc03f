"""Temperatures against numpy; of thinned rows the truth always lies between the bounds, and they are worth having."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.errors import HeadlightError
from model.generation import temperature
from model.trace import logits
from model.trace.tensors import MemoryStore

pytestmark = pytest.mark.float32

TEMPERATURES = (0.1, 0.5, 1.0, 1.7, 3.0)


def rows(vocabulary: int, spread: float = 3.0) -> torch.Tensor:
    return spread * torch.randn(4, vocabulary, generator=torch.Generator().manual_seed(vocabulary))


def softmax(z: np.ndarray, t: float) -> np.ndarray:
    scaled = z.astype(np.float64) / t
    e = np.exp(scaled - scaled.max())
    return e / e.sum()


@pytest.mark.parametrize("t", TEMPERATURES)
@pytest.mark.parametrize("vocabulary", [3, 10, 500])
def test_whole_logits_are_numpys(t: float, vocabulary: int) -> None:
    values = rows(vocabulary)
    store = MemoryStore({"logits": values})
    for position in (0, 2, -1):
        z = values[position].numpy()
        found = temperature.tempered(store, position, t)
        order = np.argsort(-z, kind="stable")[:10]
        assert found.ids.tolist() == order.tolist() and found.exact
        p, plain = softmax(z, t), softmax(z, 1)
        np.testing.assert_allclose(found.low, p[order], atol=1e-12, rtol=0)
        np.testing.assert_allclose(found.plain, plain[order], atol=1e-12, rtol=0)
        for got, of in zip(found.entropy, (plain, p), strict=True):
            inside = of[of > 0]
            assert got == pytest.approx(-(inside * np.log(inside)).sum(), abs=1e-12)


@pytest.mark.parametrize("t", TEMPERATURES)
@pytest.mark.parametrize("spread", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("vocabulary", [64, 65, 4000])
def test_the_truth_lies_between_the_bounds(t: float, spread: float, vocabulary: int, monkeypatch) -> None:
    monkeypatch.setattr(logits, "WHOLE", 10)
    values = rows(vocabulary, spread)
    store = MemoryStore(logits.parts(values))
    for position in range(len(values)):
        found = temperature.tempered(store, position, t)
        truth = softmax(values[position].numpy(), t)[found.ids.numpy()]
        low, high = found.low.numpy(), found.high.numpy()
        loose = 1 + 5e-6  # a float32 log-sum-exp of 40 is known to 2·10⁻⁶
        assert (low <= truth * loose).all() and (truth <= high * loose).all()
        if t == 1 or vocabulary == 64:
            np.testing.assert_allclose(low, high, rtol=1e-12)
            np.testing.assert_allclose(low, truth, rtol=1e-5)
        assert found.entropy is None


def test_the_bounds_say_something(monkeypatch) -> None:
    """At T = 0.5 a peaked row's first probability is known to a hundredth, at T = 1.3 to less than a fifth."""
    monkeypatch.setattr(logits, "WHOLE", 10)
    store = MemoryStore(logits.parts(rows(4000)))
    for t, width in ((0.5, 0.01), (1.3, 0.2)):
        found = temperature.tempered(store, 0, t)
        assert 0 < float(found.high[0] - found.low[0]) < width


def test_a_record_that_does_not_know_its_vocabulary_has_no_lower_bound_above_one(monkeypatch) -> None:
    monkeypatch.setattr(logits, "WHOLE", 10)
    parts = logits.parts(rows(300))
    parts.pop("likeliest.size")
    found = temperature.tempered(MemoryStore(parts), 0, 2.0)
    assert float(found.low.max()) == 0.0 and float(found.high[0]) > 0


@pytest.mark.parametrize("t", [0.0, -1.0, math.inf, math.nan])
def test_no_temperature(t: float) -> None:
    with pytest.raises(HeadlightError, match="temperature"):
        temperature.tempered(MemoryStore({"logits": rows(5)}), 0, t)


def test_without_logits_there_is_nothing() -> None:
    assert temperature.tempered(MemoryStore({}), 0, 1.0) is None
