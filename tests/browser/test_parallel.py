"""Parallel coordinates, brushed with a mouse: the heads that remain are picked, in the link and on the next page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from model import open_model
from tests.browser.screen import PATIENCE, Screen

TEXT = "I like cats"
BRUSHED = """() => Object.fromEntries(document.querySelector(".js-plotly-plot").data[0].dimensions
  .filter((axis) => axis.constraintrange).map((axis) => [axis.name, axis.constraintrange]))"""


@pytest.fixture(scope="module")
def table():
    return open_model("translate").trace(TEXT, language="zh").statistics()


def brush(screen: Screen, axis: int, low: float, high: float) -> None:
    """Drag along an axis, from `low` to `high` as parts of its height from the bottom."""
    place = screen.find(".parcoords .axis-brush .background").nth(axis)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    x, top, tall = box["x"] + box["width"] / 2, box["y"], box["height"]
    screen.page.mouse.move(x, top + tall * (1 - low))
    screen.page.mouse.down()
    screen.page.mouse.move(x, top + tall * (1 - high), steps=8)
    screen.page.mouse.up()


def test_the_heads_in_two_brushed_ranges_are_picked_everywhere(screen: Screen, table) -> None:
    screen.open("measures", text=TEXT, to="zh", set="measures-parallel.1")
    expect(screen.find(".parcoords .axis-brush")).not_to_have_count(0, timeout=PATIENCE)
    expect(screen.find(".headlight.brush")).to_have_attribute("data-listens", "true")
    assert "picks" not in screen.link
    said = screen.find("[data-testid=stCaptionContainer]")

    brush(screen, 0, 0.1, 0.5)  # from between E0 and E1 to the middle: the sub-layers E1 and D0
    expect(said.filter(has_text=screen.say("measures.parallel_kept", n=8, all=24))).to_have_count(1, timeout=PATIENCE)
    eight = [f"{site}.{head}" for site in ("encoder.1.self", "decoder.0.self") for head in range(4)]
    screen.wait_for_link(picks="%2C".join(eight))

    brush(screen, 1, 0.0, 0.45)
    expect(said.filter(has_text=screen.say("measures.parallel_kept", n=8, all=24))).to_have_count(0, timeout=PATIENCE)
    ranges = screen.settle().page.evaluate(BRUSHED)
    assert set(ranges) == {"site", "entropy"}
    low, high = ranges["entropy"]
    both = table[table["site"].isin(("encoder.1.self", "decoder.0.self")) & table["entropy"].between(low, high)]
    wanted = [f"{row.site}.{row.head}" for row in both.itertuples()]
    assert 0 < len(wanted) < 8
    screen.wait_for_link(picks="%2C".join(wanted))
    expect(said.filter(has_text=screen.say("measures.parallel_kept", n=len(wanted), all=24))).to_have_count(
        1, timeout=PATIENCE
    )
    assert screen.page.evaluate(BRUSHED) == ranges  # taking them left the brushes where they are

    screen.find("[data-testid=stPageLink]").filter(
        has_text=re.compile(re.escape(screen.say("measures.door_compare", n=len(wanted))))
    ).click()
    screen.shows_title("comparing.title")
    screen.wait_for_link(picks="%2C".join(wanted))


def test_a_brush_and_the_picks_agree_after_a_reload_and_after_letting_go(screen: Screen) -> None:
    screen.open("measures", text=TEXT, to="zh", set="measures-parallel.1")
    expect(screen.find(".headlight.brush")).to_have_attribute("data-listens", "true", timeout=PATIENCE)
    expect(screen.find(".parcoords .axis-brush")).not_to_have_count(0, timeout=PATIENCE)
    said = screen.find("[data-testid=stCaptionContainer]")
    brush(screen, 0, 0.1, 0.5)
    expect(said.filter(has_text=screen.say("measures.parallel_kept", n=8, all=24))).to_have_count(1, timeout=PATIENCE)
    ranges, picks = screen.settle().page.evaluate(BRUSHED), screen.link["picks"]
    screen.page.reload()
    expect(said.filter(has_text=screen.say("measures.parallel_kept", n=8, all=24))).to_have_count(1, timeout=PATIENCE)
    expect(screen.find(".parcoords .axis-brush")).not_to_have_count(0, timeout=PATIENCE)
    assert screen.settle().page.evaluate(BRUSHED) == ranges and screen.link["picks"] == picks
    screen.find("[data-testid=stButton]").filter(has_text=screen.say("measures.unpick")).click()
    screen.page.wait_for_function(f"() => !Object.keys(({BRUSHED})()).length", timeout=PATIENCE)
    expect(said.filter(has_text=screen.say("measures.parallel_kept", n=8, all=24))).to_have_count(0, timeout=PATIENCE)
    assert not {"picks"} & screen.settle().link.keys() and "brushed" not in screen.link["set"]


@pytest.mark.parametrize(
    ("page", "link", "name", "said"),
    [
        ("measures", {"set": "measures-parallel.1"}, "translate-measures-parallel.svg", "measures.parallel_of"),
        ("positions", {"set": "positions-surface.1"}, "headlight-surface.png", ""),
    ],
)
def test_a_figure_of_plotly_is_saved_under_its_name_with_its_check(
    screen: Screen, tmp_path, page: str, link: dict[str, str], name: str, said: str
) -> None:
    screen.open(page, text=TEXT, to="zh", lang="en", **link)
    button = screen.find(".js-plotly-plot .modebar-btn")
    expect(button).to_have_count(1, timeout=PATIENCE)  # one that saves, and none that moves the picture
    with screen.page.expect_download(timeout=PATIENCE) as told:
        button.click()
    assert told.value.suggested_filename == name
    told.value.save_as(tmp_path / name)
    saved = (tmp_path / name).read_bytes()
    if name.endswith(".png"):
        assert saved.startswith(b"\x89PNG") and len(saved) > 20_000
        return
    texts = re.findall(r">([^<>]+)</(?:text|tspan)>", saved.decode("utf-8"))
    assert f"translate · {screen.say(said, n=24)}" in texts
    assert any("off the module" in text for text in texts) and "C1" in texts
