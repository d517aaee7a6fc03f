"""The colours, measured with formulas of their own: OKLab, WCAG contrast, two kinds of colour blindness."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from viz.base.palette import HEADS, THEMES, diverging, from_oklab, ink, sequential, tables, to_oklab

# Machado, Oliveira & Fernandes 2009, full severity, on linear sRGB.
BLIND = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
}
# Ottosson 2020: linear sRGB -> cone responses -> Lab.
CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                  [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
LAB = np.array([[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.808675766]])  # fmt: skip


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(colour: str, eye: str = "none") -> np.ndarray:
    return LAB @ np.cbrt(CONES @ np.clip(BLIND[eye] @ linear(colour), 0, 1))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio, 1 to 21."""
    light, dark = sorted((linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (one, other)), reverse=True)
    return light / dark


def test_conversions():
    for colour in (*HEADS, "#ffffff", "#808080", "#ff0000", "#0f1117"):
        np.testing.assert_allclose(to_oklab(colour), oklab(colour), atol=1e-9)
        assert from_oklab(*oklab(colour)) == colour
    assert to_oklab("#ffffff") == pytest.approx((1, 0, 0), abs=1e-4)
    assert from_oklab(2, 0, 0) == "#ffffff"


@pytest.mark.parametrize("theme", THEMES)
def test_zero_is_the_page(theme: str):
    background = THEMES[theme]["background"]
    assert sequential(theme)[0] == background
    assert diverging(theme)[128] == background
    assert (len(sequential(theme)), len(diverging(theme))) == (256, 257)


@pytest.mark.parametrize("theme", THEMES)
def test_equal_steps_of_a_weight_are_equal_steps_to_the_eye(theme: str):
    lightness = np.array([oklab(colour)[0] for colour in sequential(theme)])
    steps = np.diff(lightness) * (1 if theme == "dark" else -1)
    # Three bytes hold no finer steps: neighbours may coincide, never turn back.
    assert steps.min() >= 0
    assert steps.reshape(-1, 5).sum(1).min() > 0
    even = np.linspace(lightness[0], lightness[-1], 256)
    assert np.abs(lightness - even).max() < 0.012
    assert abs(lightness[-1] - lightness[0]) > 0.6


@pytest.mark.parametrize("theme", THEMES)
def test_the_scale_stays_monotone_for_colour_blind_eyes(theme: str):
    for eye in BLIND:
        lightness = np.array([oklab(colour, eye)[0] for colour in sequential(theme)[::8]])
        assert (np.diff(lightness) * (1 if theme == "dark" else -1)).min() > 0, eye


@pytest.mark.parametrize("theme", THEMES)
def test_plus_and_minus_are_equally_strong(theme: str):
    colours = [oklab(colour) for colour in diverging(theme)]
    for i in range(128):
        assert abs(colours[i][0] - colours[256 - i][0]) < 0.015, i
    # The sides differ in hue alone; both kinds of colour blindness here keep blue and orange apart.
    for eye in BLIND:
        assert np.linalg.norm(oklab(diverging(theme)[0], eye) - oklab(diverging(theme)[-1], eye)) > 0.15, eye


@pytest.mark.parametrize("theme", THEMES)
def test_the_far_end_stands_out(theme: str):
    background = THEMES[theme]["background"]
    assert contrast(sequential(theme)[-1], background) >= 4.5
    assert contrast(THEMES[theme]["text"], background) >= 7
    for end in (0, -1):
        assert contrast(diverging(theme)[end], background) >= 4.5


@pytest.mark.parametrize("eye", BLIND)
def test_heads_can_be_told_apart(eye: str):
    distances = {pair: np.linalg.norm(oklab(pair[0], eye) - oklab(pair[1], eye)) for pair in combinations(HEADS, 2)}
    closest = min(distances, key=distances.__getitem__)
    # 0.02 is about what an eye just sees; a line needs more than a patch.
    assert distances[closest] > (0.14 if eye == "none" else 0.07), closest
    neighbours = [distances[pair] for pair in pairwise(HEADS)]
    assert min(neighbours) > 0.19
    assert len(set(HEADS)) == 8


@pytest.mark.parametrize("theme", THEMES)
def test_heads_show_on_the_page(theme: str):
    assert min(contrast(colour, THEMES[theme]["background"]) for colour in HEADS) >= 2


@pytest.mark.parametrize("theme", THEMES)
def test_a_word_is_readable_on_every_colour_of_a_scale(theme: str):
    colours = [*sequential(theme), *diverging(theme)]
    assert min(contrast(ink(colour), colour) for colour in colours) >= 4.5
    assert {ink(colour) for colour in colours} == {"#ffffff", "#000000"}


def test_tables_are_the_scales():
    found = tables()
    for theme in THEMES:
        for name, colours in (("sequential", sequential(theme)), ("diverging", diverging(theme))):
            text = found[theme][name]
            assert ["#" + text[i : i + 6] for i in range(0, len(text), 6)] == list(colours)
    assert found["heads"] == list(HEADS)
