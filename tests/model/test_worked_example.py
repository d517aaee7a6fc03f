"""The example by hand against the numbers printed in its fixture."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from model.steps import worked_example as hand
from model.steps.worked_example import BadMatrix, attention_by_hand, rounded_to_tenths

PRINTED = json.loads((Path(hand.__file__).parent / "worked_example.json").read_text(encoding="utf-8"))
INPUTS = [np.array(PRINTED[name], float) for name in ("x", "w_query", "w_key", "w_value")]


def digits(value: float) -> float:
    """Half a unit of the ninth significant digit, with which the fixture is printed."""
    return 0.5 * 10 ** (math.floor(math.log10(abs(value))) - 8) if value else 0.0


@pytest.mark.parametrize(
    ("field", "printed"),
    [
        ("weights_unscaled", "weights_unscaled"),
        ("output_unscaled", "output_unscaled"),
        ("weights_scaled", "weights_scaled_by_sqrt_3"),
        ("output_scaled", "output_scaled_by_sqrt_3"),
    ],
)
def test_numbers_are_those_printed(field: str, printed: str):
    got = getattr(attention_by_hand(*INPUTS), field)
    for mine, theirs in zip(got.ravel(), np.ravel(PRINTED[printed]), strict=True):
        decimals = len(repr(float(theirs)).partition("e")[0].partition(".")[2])
        exponent = int(repr(float(theirs)).partition("e")[2] or 0)
        assert abs(mine - theirs) <= max(0.51 * 10.0 ** (exponent - decimals), digits(theirs))


@pytest.mark.parametrize(
    ("field", "printed"),
    [
        ("query", "query"),
        ("key", "key"),
        ("value", "value"),
        ("scores", "scores_unscaled"),
        ("weights_rounded", "weights_rounded_for_reading"),
        ("output_rounded", "output_from_rounded_weights"),
    ],
)
def test_whole_and_rounded_numbers_are_equal(field: str, printed: str):
    got = getattr(attention_by_hand(*INPUTS), field)
    np.testing.assert_allclose(got, PRINTED[printed], atol=1e-12 if field == "output_rounded" else 0, rtol=0)


def test_the_fixture_is_read_whole():
    assert set(hand.fixture()) == set(PRINTED) - {"about"}
    np.testing.assert_array_equal(hand.fixture()["x"], INPUTS[0])


def test_every_step_follows_from_the_one_before():
    generator = np.random.default_rng(0)
    x, w_q, w_k, w_v = (generator.normal(size=size) for size in ((5, 4), (4, 3), (4, 3), (4, 2)))
    got = attention_by_hand(x, w_q, w_k, w_v)
    exact = {"atol": 1e-12, "rtol": 0}
    scores = np.einsum("id,de,jf,fe->ij", x, w_q, x, w_k)
    np.testing.assert_allclose(got.scores, scores, **exact)
    np.testing.assert_allclose(got.scores_scaled, scores / 3**0.5, **exact)
    for name, s in (("unscaled", scores), ("scaled", scores / 3**0.5)):
        weights = np.exp(s) / np.exp(s).sum(1, keepdims=True)
        np.testing.assert_allclose(getattr(got, f"weights_{name}"), weights, **exact)
        np.testing.assert_allclose(getattr(got, f"output_{name}"), weights @ x @ w_v, **exact)
    np.testing.assert_allclose(got.output_rounded, got.weights_rounded @ x @ w_v, **exact)


def test_rounded_rows_sum_to_one():
    generator = np.random.default_rng(1)
    for n in (1, 2, 3, 7, 10, 11, 25):
        weights = generator.dirichlet(np.full(n, 0.3), size=200)
        tenths = rounded_to_tenths(weights)
        assert (np.rint(tenths * 10).sum(1) == 10).all()
        np.testing.assert_allclose(tenths * 10, np.rint(tenths * 10), atol=1e-12)
        assert np.abs(tenths - weights).max() < 0.1 + 1e-8
        assert tenths.min() >= 0


def test_rounding_keeps_what_is_already_in_tenths_and_breaks_ties_to_the_front():
    for row in ([0.3, 0.7], [0.1] * 10, [1.0, 0.0], [0.6, 0.3, 0.1]):
        assert rounded_to_tenths(np.array([row])).tolist() == [row]
    assert rounded_to_tenths(np.array([[0.06, 0.47, 0.47]])).tolist() == [[0.0, 0.5, 0.5]]
    assert rounded_to_tenths(np.array([[0.25, 0.25, 0.25, 0.25]])).tolist() == [[0.3, 0.3, 0.2, 0.2]]


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize(("value", "said"), [(np.nan, "empty"), (np.inf, "non-finite"), (-np.inf, "non-finite"),
                                             (1e7, "1,000,000"), (-1e300, "1,000,000"), (None, "empty")])  # fmt: skip
def test_odd_cells_are_refused(position: int, value: float | None, said: str):
    matrices: list = [m.astype(object) for m in INPUTS]
    matrices[position][0, 0] = value
    with pytest.raises(BadMatrix, match=said) as refused:
        attention_by_hand(*matrices)
    assert str(refused.value).startswith(("X", "W_Q", "W_K", "W_V")[position])
    assert "\n" not in str(refused.value)


def test_extreme_scores_do_not_overflow():
    for size in (5e5, -5e5):  # x reaches 2: this is the largest that is allowed
        got = attention_by_hand(INPUTS[0] * size, INPUTS[1] * 1e5, INPUTS[2] * 1e5, INPUTS[3])
        for name in ("weights_unscaled", "weights_scaled", "weights_rounded", "output_scaled"):
            assert np.isfinite(getattr(got, name)).all()
        np.testing.assert_allclose(got.weights_unscaled.sum(1), 1, atol=1e-12)
    equal = attention_by_hand(np.zeros((3, 4)), *INPUTS[1:])
    np.testing.assert_allclose(equal.weights_scaled, 1 / 3, atol=1e-15)


def test_edited_inputs_go_into_a_link_and_back():
    inputs = {name: hand.fixture()[name].copy() for name in hand.INPUTS}
    assert hand.to_text(inputs) == ""
    inputs["x"][1, 1], inputs["w_value"][3, 0] = -7.25, 0.001
    found = hand.from_text(hand.to_text(inputs))
    for name in hand.INPUTS:
        np.testing.assert_array_equal(found[name], inputs[name])


@pytest.mark.parametrize("text", ["", "1", "1,2;3", "a|b|c|d", "|||", "nan,0,0,0|1|1|1", "1e999" + ",0" * 3])
def test_a_link_that_fits_nothing_is_no_input(text: str):
    assert hand.from_text(text) is None
