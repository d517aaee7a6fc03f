"""The components' modules in a real browser: fetched once, and linked in the page where no server hands them out."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.screen import Screen
from tests.browser.server import ROOT, running
from viz.ui.components import scripts

TEXT, SITE, HEAD = "the cat sat on the mat", "encoder.1.self", 2


def fetched(screen: Screen) -> Counter[str]:
    """module -> how often the page asked for it."""
    start = f"{scripts.PATH}/{scripts.version()}/"
    paths = [urlsplit(request).path for request in screen.requests]
    assert all(path.startswith(start) for path in paths if path.startswith(scripts.PATH))
    return Counter(path.removeprefix(start) for path in paths if path.startswith(start))


def fetched_all(screen: Screen, needed: set[str]) -> Counter[str]:
    """`fetched`, once all that is needed was asked for: the last figure of a page may still be on its way."""
    for _ in range(200):
        if needed <= set(fetched(screen)):
            break
        screen.page.wait_for_timeout(100)
    return fetched(screen)


def test_a_person_who_walks_through_the_pages_fetches_each_module_once(new_screen) -> None:
    screen = new_screen().open("heads", text=TEXT, site=SITE, head=HEAD, q=0, k=0, to="zh", lang="en")
    needed = {
        file for name in ("matrix", "lines", "joint_matrix", "address") for file in scripts.in_order(f"{name}/main.js")
    }
    assert fetched_all(screen, needed) == dict.fromkeys(needed, 1)
    screen.click_cell(4, 1)
    screen.pick("head-en", "1").wait_for_link(head=1)
    assert fetched_all(screen, needed) == dict.fromkeys(needed, 1)
    screen.find("[data-testid=stPageLink] a").filter(has_text=screen.say("door.cell")).click()
    screen.shows_title("steps.title")
    screen.wait_for_link(q=4, k=1)
    needed |= set(scripts.in_order("equation/main.js"))
    expect(screen.find(".headlight.equation canvas").first).to_be_visible(timeout=20_000)
    assert fetched_all(screen, needed) == dict.fromkeys(needed, 1)
    screen.find("[data-testid=stTopNavSection]").filter(has_text=screen.say("section.look")).click()
    name = re.compile(f"^{screen.say('heads.name')}$")
    screen.find("[data-testid=stTopNavDropdownLink]").filter(has_text=name).first.click()
    screen.shows_title("heads.title")
    screen.settle()
    assert fetched_all(screen, needed) == dict.fromkeys(needed, 1)


def test_two_views_of_a_page_have_the_same_module(screen) -> None:
    """What a hover of one says reaches the other: they stand on one page, from folders of their own."""
    screen.open("heads", text=TEXT, site=SITE, head=HEAD, q=0, k=0, to="zh", lang="en")
    screen.page.mouse.move(*screen.cell(3, 2))
    expect(screen.find(".headlight.lines .column.left .chip.hover").first).to_be_visible()


@pytest.fixture(scope="module")
def without_routes(tmp_path_factory: pytest.TempPathFactory):
    """A page of ours that Streamlit runs without our app around it."""
    with running(ROOT / "benchmarks" / "head_change_page.py", tmp_path_factory.mktemp("bare") / "log.txt") as url:
        yield url


def test_a_page_without_our_server_links_the_modules_itself(browser, without_routes: str) -> None:
    screen = Screen(browser, without_routes)
    screen.page.goto(f"{without_routes}/?n=6")
    drawn = screen.find(".headlight.matrix canvas[data-drawn]")
    expect(drawn).to_be_visible(timeout=60_000)
    before = drawn.get_attribute("data-drawn")
    screen.find(".st-key-next button").click()
    expect(drawn).not_to_have_attribute("data-drawn", before, timeout=20_000)
    bar = screen.find(".headlight.matrix .foot .bar")
    assert re.match(r"linear-gradient\(90deg, rgb\(255, 255, 255\)", bar.evaluate("(bar) => bar.style.background"))
    assert not fetched(screen) and not screen.foreign()
    assert [problem for problem in screen.problems if "favicon" not in problem] == []
    screen.close()
