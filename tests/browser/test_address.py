"""The address of what is shown: one entry of the browser's history a page, and a button that copies it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

TEXT = "the cat sat on the mat"
HISTORY = "() => history.length"


def by_menu(screen, section: str, page: str) -> None:
    screen.find("[data-testid=stTopNavSection]").filter(has_text=screen.say(f"section.{section}")).click()
    name = screen.say(f"{page}.name")
    screen.find("[data-testid=stTopNavDropdownLink]").filter(has_text=name).first.click()
    screen.shows_title(f"{page}.title")


def test_back_goes_back_one_page_in_one_press(screen) -> None:
    screen.open("heads", text=TEXT, site="encoder.0.self", head=0, q=1, k=1, to="zh", lang="en")
    before = screen.page.evaluate(HISTORY)
    screen.click_cell(2, 3)
    screen.click_cell(4, 0)
    assert screen.page.evaluate(HISTORY) == before  # looking around on a page leaves no entries
    by_menu(screen, "look", "atlas")
    screen.wait_for_link(q=4, k=0)
    by_menu(screen, "learn", "steps")
    screen.wait_for_link(q=4, k=0)
    assert screen.page.evaluate(HISTORY) == before + 2
    for page in ("atlas", "heads"):
        screen.page.go_back()
        screen.shows_title(f"{page}.title")
        screen.wait_for_link(text="the.cat.sat.on.the.mat".replace(".", "+"), q=4, k=0, site="encoder.0.self")
    screen.page.go_forward()
    screen.shows_title("atlas.title")
    screen.wait_for_link(q=4, k=0)


def test_the_page_that_is_open_may_be_chosen_again(screen) -> None:
    screen.open("atlas", text=TEXT, to="zh", lang="en")
    by_menu(screen, "look", "atlas")
    screen.wait_for_link(to="zh", lang="en")


@pytest.mark.parametrize("page", ["heads", "reading"])
def test_the_link_is_copied_as_it_stands(screen, page: str) -> None:
    screen.open(page, text=TEXT, site="encoder.0.self", head=0, q=1, k=1, to="zh", lang="en")
    screen.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if page == "heads":
        screen.click_cell(2, 3)
    button = screen.find(".address button.copy:visible")
    expect(button).to_have_text(screen.say("address.copy"))
    button.click()
    expect(button).to_have_text(screen.say("address.copied"))
    assert screen.page.evaluate("() => navigator.clipboard.readText()") == screen.page.url
    expect(button).to_have_text(screen.say("address.copy"))
