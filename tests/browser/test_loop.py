"""All pairs: what a loop in the plane holds is picked everywhere."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
import pytest
from playwright.sync_api import expect

from model import open_model
from model.compare import heads as compare_heads
from tests.browser.screen import Screen

TEXT = "the cat saw a dog"
LINK = {"text": TEXT, "to": "zh", "tab": "comparing.pairs", "site": "encoder.0.self", "head": 0}
# Where the dots of the first plane are on the screen, by their head.
DOTS = """() => {
  const chart = document.querySelector(".js-plotly-plot"), dots = chart._fullData.find((part) => part.customdata);
  const { left, top } = chart.getBoundingClientRect(), { xaxis, yaxis } = chart._fullLayout;
  const at = (start, axis, value) => start + axis._offset + axis.d2p(value);
  return dots.customdata.map((head, i) => [head, at(left, xaxis, dots.x[i]), at(top, yaxis, dots.y[i])]);
}"""


@pytest.fixture(scope="module")
def heads() -> list[str]:
    """The heads of the first group, whose places are their classical scaling."""
    group = compare_heads.all_pairs(open_model("translate").trace(TEXT, language="zh"), "correlation")[0]
    return [f"{site}.{head}" for site, head in group.heads]


def dots(screen: Screen) -> dict[str, np.ndarray]:
    screen.settle()
    chart = screen.find(".js-plotly-plot").first
    expect(chart.locator(".nsewdrag").first).to_be_visible()
    chart.scroll_into_view_if_needed()
    return {head: np.array([x, y]) for head, x, y in screen.page.evaluate(DOTS)}


def test_a_loop_picks_what_it_holds(screen: Screen, heads: list[str]) -> None:
    screen.open("comparing", **LINK, set="comparing-loop-0.1")
    places = dots(screen)
    assert list(places) == heads and "picks" not in screen.link
    # A circle around the two that are nearest to each other, with none of the others in it.
    apart = {(a, b): float(np.linalg.norm(places[a] - places[b])) for a in heads for b in heads if a < b}
    pair = min(apart, key=apart.get)
    middle = (places[pair[0]] + places[pair[1]]) / 2
    others = [head for head in heads if head not in pair]
    radius = (apart[pair] / 2 + min(np.linalg.norm(places[head] - middle) for head in others)) / 2
    for step in range(25):
        screen.page.mouse.move(*(middle + radius * np.array([cos(2 * pi * step / 24), sin(2 * pi * step / 24)])))
        if step == 0:
            screen.page.mouse.down()
    screen.page.mouse.up()
    looped = [head for head in heads if head in pair]
    screen.wait_for_link(picks="%2C".join(looped))
    expect(
        screen.find("[data-testid=stCaptionContainer]").filter(has_text=screen.say("comparing.plane_loop"))
    ).to_have_count(1)
    screen.find("[data-testid=stPageLink]").filter(has_text=screen.say("comparing.door_measures")).click()
    screen.shows_title("measures.title")
    screen.wait_for_link(picks="%2C".join(looped))
