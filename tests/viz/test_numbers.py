"""Numbers as they are set: what is read back is what was meant, to its digits."""

from __future__ import annotations

import math
import random

import pytest

from viz.base.numbers import factor, short, tex

SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def read(text: str) -> float:
    mantissa, _, power = text.replace("−", "-").partition("·10")
    return float(mantissa) * 10 ** int(power.translate(SUPERSCRIPT) or 0)


def read_tex(text: str) -> float:
    mantissa, _, power = text.partition(r"\cdot10^")
    return float(mantissa) * 10 ** int(power.strip("{}") or 0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-3.0, "−3"), (0.9312, "0.931"), (-0.9312, "−0.931"), (12.345, "12.3"),
        (1234.5, "1234"), (0.9997, "1.00"), (9.996, "10.0"), (0.00031, "3.1·10⁻⁴"), (-0.00031, "−3.1·10⁻⁴"), (1e-7, "1.0·10⁻⁷"),
        (99999.0, "99999"), (1e5, "1.0·10⁵"), (-2.5e12, "−2.5·10¹²"), (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞"),
    ],
)  # fmt: skip
def test_examples(value: float, shown: str):
    assert short(value) == shown


def test_what_is_shown_is_near():
    choice = random.Random(0)
    for _ in range(3000):
        value = choice.choice((-1, 1)) * 10 ** choice.uniform(-12, 12)
        powers = not 1e-3 <= abs(value) < 1e5
        bound = 0.0501 if powers else 0.00501
        assert abs(read(short(value)) - value) <= bound * abs(value), value
        assert read_tex(tex(value)) == pytest.approx(read(short(value)), rel=1e-12)
        assert "-" not in short(value)


def test_more_digits():
    assert short(0.123456, 5) == "0.12346"
    assert tex(math.pi, 4) == "3.142"


def test_tex():
    assert tex(-0.5) == "-0.500"
    assert tex(-math.inf) == r"-\infty"
    assert tex(3.1e-4) == r"3.1\cdot10^{-4}"
    assert (factor(-2.0), factor(2.0), factor(-math.inf)) == ("(-2)", "2", r"(-\infty)")
