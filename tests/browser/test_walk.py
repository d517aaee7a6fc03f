"""Every page with everything in it pressed once: nothing breaks, nothing leaves this computer.

In English: the words differ, not what is pressed.
"""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import Error, Locator

from tests.app.visit import PAGES
from tests.browser.screen import Screen

TEXT = "the cat sat"
# Opening and closing what is under a figure is the same everywhere; a page's first ones stand for all.
POPOVERS = 4
OPTIONS = 3  # of one row of buttons: the others of a row go the same way through the page
MAIN = "[data-testid=stMain]"
FIGURES = ".headlight:not(.overview) canvas"


def visible(screen: Screen, selector: str) -> list[Locator]:
    """What of this is in sight; the places of the locators are those among all of them."""
    return [found for found in screen.find(f"{MAIN} {selector}").all() if found.is_visible()]


def sound(screen: Screen, what: str) -> None:
    """The page is painted, and neither it nor the console complains."""
    screen.settle()
    assert not screen.problems, f"after {what}: {screen.problems}"
    assert screen.find("[data-testid=stException]").count() == 0, f"an exception after {what}"


BUTTONS = """(node) => [...node.querySelectorAll("[data-testid=stButtonGroup]")].flatMap((group) => {
  const key = group.closest("[class*=st-key-]")?.className.match(/st-key-(\\S+)/)?.[1] ?? "";
  return [...group.querySelectorAll("button")].filter((b) => b.offsetParent && !b.disabled).map((b) => `${key} ${b.innerText}`);
})"""
PRESS = """(node, name) => {
  for (const group of node.querySelectorAll("[data-testid=stButtonGroup]")) {
    const key = group.closest("[class*=st-key-]")?.className.match(/st-key-(\\S+)/)?.[1] ?? "";
    const found = [...group.querySelectorAll("button")].find((b) => `${key} ${b.innerText}` === name);
    if (found) return found.click();
  }
}"""


def press_options(screen: Screen) -> None:
    """The first options of every row of buttons; a press may bring further rows, which are pressed too."""
    main, done = screen.find(MAIN), Counter()
    for _ in range(60):
        rows = ((name, name.partition(" ")[0]) for name in main.evaluate(BUTTONS))
        fresh = next((name for name, row in rows if name not in done and done[row] < OPTIONS), None)
        if fresh is None:
            return
        done.update((fresh, fresh.partition(" ")[0]))
        main.evaluate(PRESS, fresh)
        screen.page.wait_for_timeout(60)  # the press is on its way before the page is asked whether it stands still
        sound(screen, f"pressing {fresh}")


def unfold(screen: Screen) -> None:
    for summary in visible(screen, "[data-testid=stExpander] summary"):
        summary.click()
    sound(screen, "unfolding")


def look_under_figures(screen: Screen) -> None:
    """Data, figure and code open and close."""
    for button in visible(screen, "[data-testid=stPopover] button")[:POPOVERS]:
        button.click()
        screen.find("[data-testid=stPopoverBody]").first.wait_for(state="visible")
        screen.page.keyboard.press("Escape")
        sound(screen, "a popover")


def choose(screen: Screen) -> None:
    """Another option of every list, a step of every slider, every toggle."""
    for i in range(len(visible(screen, "[data-testid=stSelectbox]"))):
        boxes = visible(screen, "[data-testid=stSelectbox] input")
        if i >= len(boxes):
            break
        if boxes[i].is_disabled():  # it follows another one
            continue
        boxes[i].click()
        screen.page.keyboard.press("ArrowDown")
        screen.page.keyboard.press("Enter")
        sound(screen, f"list {i}")
    for kind, selector in (("slider", "[role=slider]"), ("toggle", "[data-testid=stCheckbox] label")):
        for i in range(len(visible(screen, selector))):
            found = visible(screen, selector)
            if i >= len(found):
                break
            if kind == "slider":
                found[i].focus()
                screen.page.keyboard.press("ArrowLeft")
            else:
                found[i].click()
            sound(screen, f"{kind} {i}")


def click_figures(screen: Screen) -> None:
    """The middle of every figure; the first screen's lead to other pages and are pressed in its own tests."""
    for i in range(len(visible(screen, FIGURES))):
        for attempt in range(3):
            figures = visible(screen, FIGURES)
            if i >= len(figures):
                return
            try:
                figures[i].scroll_into_view_if_needed(timeout=5000)
                figures[i].click(force=True, timeout=5000)
                break
            except Error:  # drawn anew between finding and clicking
                if attempt == 2:
                    raise
                screen.settle()
        sound(screen, f"figure {i}")


def walk(screen: Screen, page: str) -> None:
    screen.open("" if page == "overview" else page, lang="en", text=TEXT)
    sound(screen, "opening")
    press_options(screen)
    unfold(screen)
    choose(screen)
    look_under_figures(screen)
    click_figures(screen)


@pytest.mark.parametrize("page", PAGES)
def test_everything_can_be_pressed(screen, page: str) -> None:
    try:
        walk(screen, page)
    except (
        Error
    ):  # what was to be pressed was drawn anew just then; a fault of the page is an assertion and never repeated
        walk(screen, page)
    assert screen.link["lang"] == "en" and not screen.foreign()


@pytest.mark.parametrize("page", ["together", "block", "encoder_decoder"])
def test_a_list_of_tokens_follows_the_text(screen, page: str) -> None:
    """What the browser had chosen among the old tokens is no choice among the new ones."""
    screen.open(page, lang="en", text=TEXT, q=1, k=1, site="decoder.1.cross")
    box = screen.find(".st-key-text-en input")
    for text in ("the dog slept on the mat", "a bird sings"):
        box.fill(text)
        box.press("Enter")
        screen.wait_for_link(text=text.replace(" ", r"+"))
        screen.find("[data-testid=stMain] [data-testid=stPopover] button").first.click()
        screen.page.keyboard.press("Escape")
        sound(screen, f"reading {text}")
