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


def test_another_model_is_a_step_of_its_own(screen) -> None:
    """A part of a name typed into the list of models opens it; a path where nothing lies is kept where it can be corrected."""
    screen.open("", text=TEXT, to="zh", lang="en")
    screen.page.goto(screen.page.url)  # by the link as the page itself writes it, which stays in the history
    screen.settle()
    before = screen.page.evaluate(HISTORY)
    for typed in ("/nowhere/model", "dates"):
        box = screen.find("[data-testid=stSidebar] [data-testid=stSelectbox] input").first
        box.click()
        box.type(typed)
        screen.page.keyboard.press("Enter")
        if typed == "dates":
            screen.wait_for_link(model="dates")
        else:
            expect(screen.find("[data-testid=stAlert]")).to_contain_text(typed)
            expect(screen.find(".st-key-models-again button")).to_be_visible()
            screen.wait_for_link(model="translate")
    assert screen.page.evaluate(HISTORY) == before + 1
    screen.page.go_back()
    screen.wait_for_link(model="translate", text="the+cat+sat+on+the+mat")
    expect(screen.find(".st-key-text-en input").first).to_have_value(TEXT)


def test_a_press_keeps_what_was_set_on_a_page_that_a_link_opened(screen) -> None:
    """The link of before came with the press, and was taken once more."""
    screen.open("generation", text=TEXT, to="zh", lang="en", tab="generation.sampling")
    screen.find(".st-key-generation-temperature input").first.focus()
    screen.page.keyboard.press("ArrowRight")
    screen.wait_for_link(set="generation-temperature.0.9")
    screen.find(".st-key-generation-draw button").click()
    screen.page.wait_for_timeout(200)  # the press is on its way before the page is asked whether it stands still
    screen.settle()
    expect(screen.find(".st-key-generation-draw")).to_be_visible()
    screen.wait_for_link(set="generation-temperature.0.9")


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
