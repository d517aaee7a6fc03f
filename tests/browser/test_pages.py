"""Every page in both languages and both themes: painted, without an error, without a request to anywhere else."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.app.visit import PAGES
from tests.browser.screen import Screen
from viz.ui.language import LANGUAGES
from viz.ui.navigation import SECTIONS

FIGURE = {"overview": ".headlight.overview .ribbons path", "heads": ".headlight.matrix canvas[data-drawn]",
          "steps": ".headlight.equation canvas", "by_hand": ".headlight.equation canvas",
          "model_card": "[data-testid=stVegaLiteChart]",
    "output": "[data-testid=stDataFrame]",
    "models": ".st-key-open-translate", "families": ".st-key-families-open-bert button",
    "positions": ".headlight.matrix canvas[data-drawn]", "masks": ".headlight.equation canvas",
    "together": ".headlight.equation canvas", "block": "[data-testid=stVegaLiteChart]",
    "generation": "[data-testid=stVegaLiteChart]", "variants": ".headlight.equation canvas",
    "encoder_decoder": "[data-testid=stVegaLiteChart]",
    "atlas": ".headlight.atlas canvas", "map": ".headlight.map canvas", "reading": ".headlight.reading",
    "measures": "[data-testid=stVegaLiteChart]", "comparing": ".headlight.matrix canvas[data-drawn]",
    "corpus": "[data-testid=stVegaLiteChart]", "evaluate": ".st-key-evaluate-example-0",
    "train": ".st-key-train-start button", "forming": ".headlight.matrix canvas[data-drawn]",
    "switch_off": "[data-testid=stVegaLiteChart]",
}  # fmt: skip


@pytest.mark.parametrize(("page", "language"), [(page, tuple(LANGUAGES)[i % 2]) for i, page in enumerate(PAGES)])
def test_every_page_is_painted(screen, page: str, language: str) -> None:
    """Half of them in each language: test_walk.py opens all in English, tests/app/ in both."""
    screen.open("" if page == "overview" else page, lang=language)
    screen.shows_title("headline.title" if page == "overview" else f"{page}.title")
    expect(screen.find(FIGURE[page]).first).to_be_visible()
    assert screen.link["lang"] == language
    expect(screen.page).to_have_title(f"{screen.say(f'{page}.name')} · Headlight")
    assert screen.requests
    expect(screen.find("[data-testid=stException], [data-testid=stAlert]")).to_have_count(0)


def test_the_navigation_leads_to_every_page_with_the_selection(screen) -> None:
    screen.open("heads", text="the cat sat on the mat", site="encoder.1.self", head=2, q=3, k=1)
    for page in ("steps", "by_hand", "model_card", "overview", "heads"):
        name = screen.say(f"{page}.name")
        section = next(section for section, stems in SECTIONS.items() if page in stems)
        screen.find("[data-testid=stTopNavSection]").filter(has_text=screen.say(f"section.{section}")).click()
        screen.find("[data-testid=stTopNavDropdownLink]").filter(has_text=re.compile(f"^{name}$")).first.click()
        screen.shows_title("headline.title" if page == "overview" else f"{page}.title")
        screen.wait_for_link(site="encoder.1.self", head=2, q=3, k=1)


def test_an_unknown_address_shows_the_first_page(screen) -> None:
    screen.open("nothing_here")
    expect(screen.find(FIGURE["overview"]).first).to_be_visible()
    # Streamlit says so in a dialog; what it finds missing is our page, so its console message is expected here.
    screen.problems.clear()


def test_the_watch_sees_what_it_is_there_for(browser, server) -> None:
    screen = Screen(browser, server).open()
    screen.page.evaluate("fetch('http://127.0.0.2:9/').catch(() => console.error('seen'))")
    screen.page.wait_for_timeout(300)
    assert screen.foreign() == ["http://127.0.0.2:9/"] and any("seen" in problem for problem in screen.problems)
    screen.close()


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_the_language_is_the_browsers(new_screen, locale: str) -> None:
    screen = new_screen(locale=locale).open()
    assert screen.link["lang"] == locale[:2]
    screen.shows_title("headline.title")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_zero_is_the_page_in_both_themes(new_screen, translator, scheme: str) -> None:
    text, site = "the animal didn't cross the street because it was too tired", "encoder.0.self"
    screen = new_screen(scheme=scheme).open("heads", text=text, site=site, head=0, q=0, k=0)
    weights = translator.trace(text).weights(site, 0)
    # A cell far from the selection's hairlines, and a strong one against which the page stands out.
    row, column = min(((i, j) for i in range(2, 11) for j in range(2, 11)), key=lambda cell: float(weights[cell]))
    assert float(weights[row, column]) < 0.5 / 255
    background = screen.page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    expected = {"light": (255, 255, 255), "dark": (15, 17, 23)}[scheme]
    assert background == f"rgb{expected}"
    (x, y), (right, below) = screen.cell(row, column), screen.cell(row + 1 if row < 10 else row - 1, column)
    beside = abs(below - y) * 0.35  # beside the number that a large cell carries
    screen.page.mouse.move(0, 0)
    assert screen.pixel(x, y - beside) == expected
    row, column = divmod(int(weights[1:, 1:].argmax()), weights.shape[1] - 1)
    x, y = screen.cell(row + 1, column + 1)
    assert screen.pixel(x, y - beside) != expected and right > 0
