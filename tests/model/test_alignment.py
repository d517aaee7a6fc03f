"""The three attentions of an encoder–decoder and the gold alignment, against computations made another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import Trace, open_model
from model.measures.cross_alignment import (
    Gold,
    agreement,
    agreement_of_heads,
    crosses,
    gold,
    key_blocks,
    mean_weights,
    shifted,
    three_rows,
)
from model.trace.site import Site
from tests import bounds
from tests.model import tiny

pytestmark = pytest.mark.float32


def softmax_row(q: np.ndarray, k: np.ndarray, last: int | None = None) -> np.ndarray:
    """Weights of one query [d_k] on keys [k, d_k], one number at a time; keys after `last` get nothing."""
    scores = [float(np.dot(q, key)) / math.sqrt(len(q)) for key in k]
    scores = [-math.inf if last is not None and j > last else s for j, s in enumerate(scores)]
    powers = [math.exp(s - max(scores)) for s in scores]
    return np.array(powers) / math.fsum(powers)


def numbers(trace: Trace, name: str, head: int) -> np.ndarray:
    return trace.activation(name)[head].double().numpy()


@pytest.mark.parametrize("row", [0, 2, 4])
@pytest.mark.parametrize("layer", [0, 1])
def test_three_looks_are_the_rows_of_the_record(trace: Trace, layer: int, row: int) -> None:
    head = 3
    own, cross, encoder = three_rows(trace, layer, head, row)
    asking, keys = (numbers(trace, f"decoder.{layer}.cross.{part}", head) for part in "qk")
    want = softmax_row(asking[row], keys)
    asked = int(np.argmax(want))
    np.testing.assert_allclose(cross.weights.numpy(), want, atol=bounds.WEIGHT)
    want = softmax_row(numbers(trace, f"decoder.{layer}.self.q", head)[row], numbers(trace, f"decoder.{layer}.self.k", head),
                       last=row)  # fmt: skip
    np.testing.assert_allclose(own.weights.numpy(), want, atol=bounds.WEIGHT)
    assert own.allowed.tolist() == [j <= row for j in range(len(want))]
    assert encoder.row == asked and encoder.site == Site("encoder", layer, "self")
    want = softmax_row(numbers(trace, f"encoder.{layer}.self.q", head)[asked],
                       numbers(trace, f"encoder.{layer}.self.k", head))  # fmt: skip
    np.testing.assert_allclose(encoder.weights.numpy(), want, atol=bounds.WEIGHT)


def test_mean_and_blocks(trace: Trace) -> None:
    site = crosses(trace)[1]
    heads = [trace.weights(site, h).double().numpy() for h in range(trace.record(site).heads)]
    np.testing.assert_allclose(mean_weights(trace, site).numpy(), sum(heads) / len(heads), atol=bounds.WEIGHT)
    weights = torch.rand(3, 7, dtype=torch.float64)
    blocks, size = key_blocks(weights, 3)
    assert size == 3 and blocks.shape == (3, 3)
    want = [[sum(row[start : start + 3]) for start in (0, 3, 6)] for row in weights.tolist()]
    np.testing.assert_allclose(blocks.numpy(), want, atol=1e-12)
    assert key_blocks(weights, 7)[1] == 1


def test_shifted_is_the_target_one_place_on(trace: Trace) -> None:
    rows = shifted(trace)
    assert [row.read for row in rows] == trace.tokens("decoder")
    assert [row.written for row in rows][:-1] == [row.read for row in rows][1:]
    logits = trace.logits.double().numpy()
    for t, row in enumerate(rows):
        powers = np.exp(logits[t] - logits[t].max())
        p = float(powers[tiny.TARGET.index(row.written)] / powers.sum())
        assert row.probability == pytest.approx(p, abs=1e-12)
        assert row.likeliest == tiny.TARGET[int(logits[t].argmax())]


def test_agreement_counts_only_rows_with_gold() -> None:
    weights = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]])
    assert agreement(weights, [(1,), (1,), (), (0, 1)]) == (2, 3)
    assert agreement(weights, [()] * 4) == (0, 0)


def test_a_foreign_model_has_no_gold(trace: Trace) -> None:
    assert gold(trace) == Gold(missing="foreign")


@pytest.mark.shipped
@pytest.mark.parametrize("language", ["zh", "fr"])
def test_gold_of_a_sentence(translator, language: str) -> None:
    trace = translator.trace("I like cats", language=language)
    want = {"zh": ((0,), (1,), (2,), ()), "fr": ((0,), (1,), (), (2,), ())}[language]
    assert gold(trace).rows == want
    for (site, head), (hits, counted) in agreement_of_heads(trace, want).items():
        weights = trace.weights(site, head).numpy()
        assert counted == 3
        assert hits == sum(int(np.argmax(weights[t])) in row for t, row in enumerate(want) if row)
    assert gold(translator.trace("cats cats cats", language=language)).missing == "outside"
    assert (
        gold(translator.trace("I like cats", "狗" if language == "zh" else "le chien", language=language)).missing
        == "other"
    )


@pytest.mark.shipped
def test_gold_of_a_date() -> None:
    pytest.importorskip("babel")
    model = open_model("dates")
    rows = gold(model.trace("20 July 1969")).rows
    assert rows == ((8,), (9,), (10,), (11,), (), (3, 4, 5, 6), (3, 4, 5, 6), (), (0,), (1,), ())
    assert gold(model.trace("hello")).missing == "outside"
