"""Numbers as the app sets them: three significant digits, a true minus sign, powers of ten written as such."""

from __future__ import annotations

import math

from model.text.byte_count import size as size

# A number this near to a whole one is that, as a part of itself: the last bits of a sum in float32, which another processor
# adds up in another order, may not decide between "1" and "1.00".
_WHOLE = 16 * 2.0**-24
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: float, digits: int = 3) -> str:
    """0.9312 -> 0.931; 0.00031 -> 3.1·10⁻⁴; 3.0000001 -> 3; −∞ and NaN as themselves."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    # Rounded first: 0.9997 has three digits as 1.00, not as 1.000, and 0.00099999 is 0.00100.
    whole, rounded = round(value), abs(float(f"{value:.{digits - 1}e}"))
    if whole and abs(value - whole) <= _WHOLE * abs(value) and abs(whole) < 1e5:
        return f"{whole}".replace("-", "−")
    if rounded >= 1e5 or rounded < 1e-3:
        mantissa, power = f"{value:.1e}".split("e")
        return f"{mantissa}·10{str(int(power)).translate(_SUPERSCRIPT)}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(rounded)))
    return f"{value:.{decimals}f}".replace("-", "−")


def minus(text: str) -> str:
    """A number as Python writes it, with the sign of a minus instead of a hyphen, and "e-05" as a power of ten; what is 0 in
    the digits that are shown has no sign."""
    digits, exponent, power = text.partition("e")
    digits = digits if digits.strip("-0.,%") else digits.replace("-", "")
    return (f"{digits}·10{str(int(power)).translate(_SUPERSCRIPT)}" if exponent else digits).replace("-", "−")


def decimals(value: float, count: int = 3) -> str:
    """−12.34567 -> −12.346, −0.0001 -> 0.000: for numbers that stand beside others of their size, which differ late."""
    return minus(f"{value:.{count}f}") if math.isfinite(value) else short(value)


TOTAL = 5  # digits of a sum of log probabilities, wherever it stands: those of two texts may differ late


def total(value: float) -> str:
    """A sum of log probabilities, or what is made of one: −12.345678 -> −12.346, −0.00036 -> −3.6·10⁻⁴."""
    return short(value, TOTAL)


def tex(value: float, digits: int = 3) -> str:
    """The same for LaTeX."""
    if math.isinf(value):
        return r"\infty" if value > 0 else r"-\infty"
    if math.isnan(value):
        return r"\mathrm{NaN}"
    text = short(value, digits)
    if "·10" in text:
        mantissa, power = f"{value:.1e}".split("e")
        return rf"{mantissa}\cdot10^{{{int(power)}}}"
    return text.replace("−", "-")


def factor(value: float, digits: int = 3) -> str:
    """A number as the second factor of a product: negative ones in brackets."""
    text = tex(value, digits)
    return f"({text})" if text.startswith("-") else text
