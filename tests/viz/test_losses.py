"""Tokens coloured by their loss: 0 is the page, ln |V| the darkest, on the screen as in a file."""

from __future__ import annotations

import html
import math
import re

import pytest

from model.evaluation.scored import Scored
from viz.base import palette
from viz.text import losses, losses_static

NAMES = ("le", "<b>", "▁chat", "</s>")
LOSSES = (0.0, 3.5, 7.0, 70.0)
RIGHT = (True, False, True, False)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_token_has_the_colour_of_its_loss(theme: str) -> None:
    scale = palette.sequential(theme)
    drawn = losses.loss_text(NAMES, LOSSES, RIGHT, 7.0, theme, "loss {loss}, probability {p}")
    spans = re.findall(r'<span title="([^"]*)" style="([^"]*)">([^<]*)</span>', drawn)
    assert [html.unescape(text) for _, _, text in spans][1] == "<b>" and len(spans) == 4
    middle = scale[round(0.5 * 255)]
    for (_, style, _), colour in zip(spans, (scale[0], middle, scale[-1], scale[-1]), strict=True):
        assert f"background:{colour}" in style and f"color:{palette.ink(colour)}" in style
    assert ["wavy" in style for _, style, _ in spans] == [not hit for hit in RIGHT]
    assert spans[0][0] == "loss 0, probability 1" and "0.0302" in spans[1][0]


def test_what_is_no_number_and_a_scale_of_nothing_are_the_page() -> None:
    scale = palette.sequential("light")
    assert losses.colours_of([math.nan, math.inf, 1.0], 2.0, "light")[:2] == [scale[0], scale[-1]]
    assert losses.colours_of([1.0], 0.0, "light") == [scale[0]]
    assert scale[0] in losses.legend(7.0, "light", "0", "<7>") and "&lt;7&gt;" in losses.legend(
        7.0, "light", "0", "<7>"
    )


def test_a_file_has_the_same_tokens_and_wraps() -> None:
    long = Scored(9, "s", "t", NAMES * 12, LOSSES * 12, RIGHT * 12, 10)
    table = losses_static.placed([long, Scored(3, "s", "t", NAMES, LOSSES, RIGHT, 10)], 7.0)
    assert table["loss"].tolist() == [*LOSSES * 12, *LOSSES] and table["right"].max() <= 92
    assert table["block"].tolist()[0] == "9" and [block for block in table["block"] if block] == ["9", "3"]
    lines = table["line"].tolist()
    assert lines == sorted(lines) and lines[47] > 0 and lines[48] == lines[47] + 1
    for _, rows in table.groupby("line"):  # nothing lies on anything else
        assert (rows["left"].to_numpy()[1:] >= rows["right"].to_numpy()[:-1]).all()
    assert losses_static.chart([long], 7.0, "loss").to_dict()
