"""The colours, in one place: Python figures and the canvas components read the same tables.

Scales are interpolated in OKLCH (Ottosson 2020, "A perceptual color space for image processing") so that equal steps of
a weight are equal steps to the eye. Zero is the page: the sequential scale starts at the theme's background, the
diverging one has the background in its middle and ends of equal lightness. Heads take Okabe & Ito's colour-blind safe set.
"""

from __future__ import annotations

import math
from functools import cache

# The typeface of the app in files, which carry none: under its own names, else a sans serif one of the system. A renderer of
# PNG takes the first that is there and, for a sign that it lacks, any other, a serif one too: so signs and Chinese have faces
# of their own (`viz.base.svg`).
FACE = (
    "Source Sans, Source Sans Pro, Segoe UI, Helvetica Neue, Arial, Liberation Sans, Noto Sans, DejaVu Sans, sans-serif"
)
SIGNS = (
    "DejaVu Sans, Segoe UI Symbol, Apple Symbols, 'Noto Sans Symbols 2', Noto Sans Symbols, Noto Sans Math, sans-serif"
)
CHINESE = (
    "Noto Sans CJK SC, Source Han Sans SC, Noto Sans SC, PingFang SC, Microsoft YaHei, WenQuanYi Micro Hei, sans-serif"
)
THEMES = {
    "light": {"background": "#ffffff", "text": "#1b1c26", "accent": "#3d3a9e"},
    "dark": {"background": "#0f1117", "text": "#e8e6e1", "accent": "#f2b04c"},
}
# Of the line under a saved picture, on the light page: what fails, and what need not be read first.
ERROR, QUIET = "#b3261e", "#6b6d7a"
# (lightness, chroma, hue in degrees) of the far end of each scale; the near end is the background.
_SEQUENTIAL_END = {"light": (0.27, 0.155, 281.0), "dark": (0.85, 0.145, 74.0)}
_SEQUENTIAL_HUE = {"light": 268.0, "dark": 52.0}
_DIVERGING_ENDS = {
    "light": ((0.50, 0.150, 255.0), (0.50, 0.150, 48.0)),
    "dark": ((0.76, 0.125, 250.0), (0.76, 0.125, 62.0)),
}
# Six of Okabe & Ito (black and yellow vanish on one of the pages) and two that stay apart from them for colour-blind
# eyes, in the order in which neighbours differ most; tests/viz/test_palette.py measures both.
# Two things beside each other, blue and vermilion (Okabe & Ito): told apart by every kind of eye.
PAIR = ("#0072b2", "#d55e00")
HEADS = ("#0072b2", "#e69f00", "#cc79a7", "#a0341f", "#56b4e9", "#d55e00", "#7a6ff0", "#009e73")


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _gamma(channel: float) -> float:
    channel = min(1.0, max(0.0, channel))
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def to_oklab(colour: str) -> tuple[float, float, float]:
    """`#rrggbb` -> (L in 0..1, a, b)."""
    r, g, b = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def from_oklab(lightness: float, a: float, b: float) -> str:
    """(L, a, b) -> `#rrggbb`, clipped to sRGB."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    channels = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _gamma(c)):02x}" for c in channels)


def _polar(chroma: float, hue: float) -> tuple[float, float]:
    return chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))


@cache
def sequential(theme: str, steps: int = 256) -> tuple[str, ...]:
    """Weights 0..1: the page's background to deep indigo (light) or warm amber (dark), even in lightness.

    A tuple, which Altair hands on where it copies a list, colour by colour, at every step that makes a chart.
    """
    start, start_a, start_b = to_oklab(THEMES[theme]["background"])
    lightness, chroma, hue = _SEQUENTIAL_END[theme]
    colours = []
    for i in range(steps):
        t = i / (steps - 1)
        a, b = _polar(chroma * t**0.8, _SEQUENTIAL_HUE[theme] + (hue - _SEQUENTIAL_HUE[theme]) * t)
        colours.append(from_oklab(start + (lightness - start) * t, start_a * (1 - t) + a, start_b * (1 - t) + b))
    colours[0] = THEMES[theme]["background"]
    return tuple(colours)


@cache
def diverging(theme: str, steps: int = 257) -> tuple[str, ...]:
    """Signed numbers −1..1: blue, background, orange; the two ends have equal lightness and chroma."""
    start, start_a, start_b = to_oklab(THEMES[theme]["background"])
    colours = []
    for i in range(steps):
        t = 2 * i / (steps - 1) - 1
        lightness, chroma, hue = _DIVERGING_ENDS[theme][t > 0]
        a, b = _polar(chroma, hue)
        t = abs(t)
        colours.append(
            from_oklab(start + (lightness - start) * t, start_a + (a - start_a) * t, start_b + (b - start_b) * t)
        )
    colours[steps // 2] = THEMES[theme]["background"]
    return tuple(colours)


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1: WCAG 2.2, "relative luminance"."""
    r, g, b = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def ink(colour: str) -> str:
    """White or black, whichever has more contrast on `colour`: at least 4.58 : 1 (WCAG 2.2, 1.4.3 asks for 4.5)."""
    here = luminance(colour) + 0.05
    return "#ffffff" if 1.05 / here > here / 0.05 else "#000000"


def tables() -> dict[str, dict[str, str | list[str]]]:
    """What the canvas components embed: each scale as one string of `rrggbb` triples, and the head colours."""
    packed = {
        theme: {
            "sequential": "".join(c[1:] for c in sequential(theme)),
            "diverging": "".join(c[1:] for c in diverging(theme)),
        }
        for theme in THEMES
    }
    return packed | {"heads": list(HEADS)}
