"""The page Text in a browser: a click and the arrow keys colour the text anew, the search asks, the list selects."""

from __future__ import annotations

import pytest
import torch
from playwright.sync_api import expect

from tests import bounds

TEXT, SITE, HEAD = "the cat sat on the mat", "encoder.1.self", 2


@pytest.fixture
def page(screen):
    return screen.open("reading", text=TEXT, site=SITE, head=HEAD, q=0, k=0, to="zh", lang="en")


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("·10", "e").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))


def test_a_click_colours_the_text_by_its_row(page, translator) -> None:
    text = page.find(".headlight.reading")
    text.locator(".page span").nth(4).click()
    expect(text).to_have_attribute("data-asking", "4")
    page.wait_for_link(q=4)
    weights = translator.trace(TEXT, language="zh").record(SITE).weights(HEAD, slice(4, 5), dtype=torch.float64)[0]
    told = page.find(".headlight.reading-row .value").all_inner_texts()
    assert [number(value) for value in told] == pytest.approx(sorted(weights.tolist(), reverse=True), abs=bounds.WEIGHT)
    best = text.locator(".page span").nth(int(weights.argmax()))
    assert "rgb" in (best.get_attribute("style") or "")
    best.hover()
    assert number(text.locator(".readout .value").inner_text()) == pytest.approx(
        float(weights.max()), abs=bounds.WEIGHT
    )


def test_keys_search_and_list_ask_and_select(page) -> None:
    text = page.find(".headlight.reading")
    expect(text).to_have_attribute("data-asking", "0")
    text.locator(".page").focus()
    for key, place in (("ArrowRight", "1"), ("End", "5"), ("ArrowLeft", "4")):
        page.page.keyboard.press(key)
        expect(text).to_have_attribute("data-asking", place)
    search = text.locator(".find input")
    search.fill("the")
    expect(text.locator(".count")).to_have_text("2")
    search.press("Enter")
    search.press("Enter")
    expect(text).to_have_attribute("data-asking", "4")
    search.fill("#2")
    search.press("Enter")
    expect(text).to_have_attribute("data-asking", "2")
    item = page.find(".headlight.reading-row .pick").nth(2)
    place = item.locator(".place").inner_text().removeprefix("#")
    item.click()
    page.wait_for_link(q=2, k=int(place))


def test_a_long_text_says_where_its_ends_are_and_goes_there(screen) -> None:
    page = screen.open(
        "reading", text="the cat sat on the mat . " * 8, site=SITE, head=HEAD, q=0, k=0, to="zh", lang="en"
    )
    text, stage = page.find(".headlight.reading"), page.find(".headlight.reading .stage")
    strongest, asked = text.locator(".end-strongest"), text.locator(".end-asked")
    stage.evaluate("(stage) => { stage.style.maxHeight = '70px'; }")
    page.page.set_viewport_size({"width": 1000, "height": 800})  # a new width: the text is measured again
    expect(asked).to_be_visible()
    place = int(strongest.locator(".place").inner_text().removeprefix("#"))
    box = page.find(".headlight.reading .page span").nth(place)
    stage.evaluate("(stage) => { stage.scrollTop = stage.scrollHeight; }")
    expect(asked).to_have_attribute("data-where", "above")
    arrows = page.find(".headlight.reading-row .way")
    if place < 30:
        expect(strongest).to_have_attribute("data-where", "above")
        expect(arrows.first).to_have_text("↑")
    strongest.click()
    expect(strongest).to_have_attribute("data-where", "seen")
    expect(arrows.first).to_have_text("")
    expect(box).to_be_in_viewport()
    asked.click()
    expect(asked).to_have_attribute("data-where", "seen")


def test_the_lines_of_the_selected_query_stand_out(screen, tmp_path) -> None:
    from model import open_model
    from tests.app import checkpoints
    from viz.heads import lines

    checkpoints.write(tmp_path / "gpt2", "gpt2")
    long = " ".join(["the cat sat on the mat and the dog ran"] * 12)
    found = lines.far(open_model(tmp_path / "gpt2").trace(long).record("decoder.1.self"), [2], "p50")[2]
    own = found.columns[found.rows == 70].tolist()
    link = {"site": "decoder.1.self", "head": 2, "heads": "2", "tab": "lines.p50", "lang": "en"}
    screen.open("heads", model="gpt2", text=long, q=70, k=own[0], **link)
    figure = screen.find(".headlight.lines.far")
    expect(figure).to_have_attribute("data-strong", str(len(own)))
    expect(figure.locator(".readout")).to_contain_text("#70")
    expect(figure.locator(".readout")).to_contain_text(f"#{own[0]}")
    told = float(figure.locator(".readout .value").inner_text())
    assert told == pytest.approx(float(found.weights[found.rows == 70][0]), rel=1e-5)
