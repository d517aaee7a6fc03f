"""Switch off in Chromium: a head is switched off, the answer changes, its link says the same elsewhere, and a figure is saved."""

from __future__ import annotations

import re

from playwright.sync_api import expect

TIRED = "the animal didn't cross the street because it was too tired"
RUN = {"model": "translate", "text": TIRED, "to": "fr", "site": "decoder.1.cross", "head": 1, "lang": "en"}


def test_heads_off_change_the_translation_and_the_link_says_so_elsewhere(new_screen) -> None:
    screen = new_screen()
    screen.page.set_viewport_size({"width": 1440, "height": 1200})
    screen.open("switch_off", **RUN, set="switch-every.0")
    for head in range(4):
        screen.find(f".st-key-pickers [data-testid=stButtonGroup] button:has-text('{head}')").first.click()
        screen.wait_for_link(head=str(head))
        screen.find(".st-key-switch-add button").click()
        expect(screen.find(f".st-key-switch-edit-{head} button").first).to_be_visible()
    expect(screen.page).to_have_url(re.compile(r"off%3Adecoder\.1\.cross\.3|off:decoder\.1\.cross\.3"))
    assert screen.link["edits"].split() == [f"off:decoder.1.cross.{head}" for head in range(4)]
    said = screen.find("[data-testid=stMarkdownContainer]").filter(has_text="changed").first
    expect(said).to_be_visible()
    other = new_screen()
    other.page.set_viewport_size({"width": 1440, "height": 1200})
    other.page.goto(screen.page.url)
    expect(other.find(".st-key-switch-edit-3 button").first).to_be_visible()
    expect(other.find("[data-testid=stMarkdownContainer]").filter(has_text="changed").first).to_have_text(
        said.inner_text()
    )
    expect(other.find("[data-testid=stVegaLiteChart]").first).to_be_visible()
    other.find(".st-key-foot-switch-next button").filter(has_text="figure").click()
    with other.page.expect_download() as download:
        other.page.get_by_role("button", name="SVG").first.click()
    assert download.value.suggested_filename.endswith(".svg")
