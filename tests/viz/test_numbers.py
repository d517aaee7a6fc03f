"""Numbers as they are set: what is read back is what was meant, to its digits."""

from __future__ import annotations

import math
import random

import pytest

from viz.base.numbers import decimals, factor, minus, short, size, tex

pytestmark = pytest.mark.float32

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


@pytest.mark.parametrize("digits", [3, 4, 6])
@pytest.mark.parametrize("value", [1.0, -1.0, 7.0, 240.0, 4096.0, 99999.0, 1e5, 1e-3, -1e-3])
def test_the_last_bits_do_not_decide_between_two_texts(value: float, digits: int):
    """A row of weights that sums to 1 in float32 sums to 1 − 6·10⁻⁸ where a processor adds up in another order."""
    for ulps in (-4, -1, 1, 4):
        near = value * (1 + ulps * 2**-24)
        assert short(near, digits) == short(value, digits) and tex(near, digits) == tex(value, digits)


@pytest.mark.parametrize("value", [-0.0, 0.0, -1e-9, -0.00049, 0.00049])
def test_nothing_has_the_sign_of_a_number_that_is_not_shown(value: float):
    assert (
        decimals(value) == "0.000" and minus(f"{value:.3f}") == "0.000" and minus(f"{value:.1%}").lstrip("0.") in ("%",)
    )
    assert (decimals(-0.0006), minus("-0.10"), minus("-inf"), minus("-1e-05")) == ("−0.001", "−0.10", "−inf", "−1·10⁻⁵")


def test_what_is_no_rounding_is_shown():
    assert (short(0.99999), short(1.00001), short(2.00002, 6)) == ("1.00", "1.00", "2.00002")


def test_what_is_shown_is_near():
    choice = random.Random(0)
    for _ in range(3000):
        value = choice.choice((-1, 1)) * 10 ** choice.uniform(-12, 12)
        powers = not 1e-3 <= abs(float(f"{value:.2e}")) < 1e5
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


@pytest.mark.parametrize(
    ("count", "decimal", "binary"),
    [
        (0, "0 B", "0 B"), (999, "999 B", "999 B"), (1000, "1 kB", "1000 B"), (1023, "1.02 kB", "1023 B"),
        (1024, "1.02 kB", "1 KiB"), (1536, "1.54 kB", "1.5 KiB"), (4_200_000, "4.2 MB", "4.01 MiB"),
        (2**20 - 1, "1.05 MB", "1020 KiB"), (999_999, "1000 kB", "977 KiB"), (3 * 2**30, "3.22 GB", "3 GiB"),
        (12_345 * 10**9, "12300 GB", "11500 GiB"),
    ],
)  # fmt: skip
def test_bytes(count: int, decimal: str, binary: str):
    assert (size(count), size(count, binary=True)) == (decimal, binary)
