"""One weight's arithmetic against NumPy in float64, on our own model and on records with everything a head may add."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import open_model
from model.errors import OutOfRange
from model.steps.weight import attention_weight
from tests.model.test_downsample import MORE, weights

pytestmark = pytest.mark.float32


@pytest.mark.parametrize("kind", MORE)
def test_a_cell_is_what_numpy_makes_of_its_row(kind: str) -> None:
    torch.manual_seed(3)
    record = MORE[kind](21, 24)
    for head in (0, 3):
        exact = weights(record, head)
        for i, j in ((0, 0), (record.queries - 1, 0), (record.queries // 2, record.keys - 1)):
            found = attention_weight(record, head, i, j)
            scores = record.scores(head, dtype=torch.float64)[i].numpy()
            assert found.weight == pytest.approx(exact[i, j], abs=1e-12)
            assert found.score == pytest.approx(scores[j], abs=1e-12) or found.score == scores[j] == -math.inf
            if math.isfinite(found.score):
                assert found.weight == pytest.approx(math.exp(found.score - found.log_sum), rel=1e-12)
                assert found.product * found.scale + found.added == pytest.approx(found.score, rel=1e-12)
            else:
                assert found.weight == 0


def test_the_product_is_q_times_k() -> None:
    trace = open_model("translate").trace("I like cats", language="zh")
    record = trace.record("decoder.1.cross")
    q, k = (record.head(name, 3).double().numpy() for name in "qk")
    found = attention_weight(record, 3, 2, 1)
    row = q[2] @ k.T / math.sqrt(record.d_k)
    assert found.product == pytest.approx(float(q[2] @ k[1]), abs=1e-12)
    assert found.log_sum == pytest.approx(float(np.log(np.exp(row).sum())), abs=1e-12)
    assert found.weight == pytest.approx(float(np.exp(row[1]) / np.exp(row).sum()), abs=1e-12)
    assert list(found.numbers()) == [found.product, found.scale, found.score, found.log_sum, found.weight]


@pytest.mark.parametrize(("i", "j"), [(-1, 0), (0, 99), (99, 0)])
def test_a_cell_that_is_not_there(i: int, j: int) -> None:
    record = open_model("translate").trace("I like cats", language="zh").record("encoder.0.self")
    with pytest.raises(OutOfRange):
        attention_weight(record, 0, i, j)
