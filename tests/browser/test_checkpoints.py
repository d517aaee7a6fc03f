"""A checkpoint of the library in a real browser: found, opened, long, by word, as a picture."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

LONG = " ".join(["the cat sat on the mat and the dog ran"] * 45)


def test_a_found_model_is_opened_by_its_button(screen) -> None:
    screen.open("models", lang="en")
    expect(screen.find(".st-key-open-gpt2 button")).to_be_visible()
    screen.find(".st-key-open-gpt2 button").click()
    screen.shows_title("headline.title")
    screen.wait_for_link(model="gpt2")
    expect(screen.find("[data-testid=stSidebar] textarea")).to_have_value("Once upon a time")


def test_a_long_text_has_a_map_that_moves_the_window(screen) -> None:
    screen.open("heads", model="gpt2", text=LONG, site="decoder.1.self", head=2, q=10, k=3, lang="en")
    canvas = screen.find("canvas[data-drawn]").first
    box = canvas.bounding_box()
    # Near the lower right corner of the map, inside the causal triangle.
    screen.page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.85 * box["height"])
    screen.page.wait_for_function("() => Number(new URL(location).searchParams.get('q')) > 250")
    shown = screen.find("[data-testid=stCaptionContainer]").filter(has_text="queries").last
    expect(shown).to_be_visible()


def test_the_patches_of_a_picture_choose_the_query(screen) -> None:
    screen.open("heads", model="vit", lang="en")
    asking = screen.find(".patches figure.asking canvas")
    box = asking.bounding_box()
    screen.page.mouse.click(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5)
    screen.page.wait_for_function("() => Number(new URL(location).searchParams.get('q')) >= 16")
    # The arrow keys walk from patch to patch.
    before = screen.page.evaluate("() => new URL(location).searchParams.get('q')")
    asking.focus()
    screen.page.keyboard.press("ArrowLeft")
    screen.page.wait_for_function(f"() => new URL(location).searchParams.get('q') === '{int(before) - 1}'")


def test_a_token_that_was_written_chooses_what_is_read_of_the_picture(screen) -> None:
    screen.open("heads", model="trocr", target="the cat sat", site="decoder.1.cross", head=2, q=1, k=3, lang="en")
    expect(screen.find(".patches figure.asking")).to_be_hidden()
    chips, read = screen.find(".patches .tokens .chip"), screen.find(".patches figure.read")
    assert chips.all_inner_texts() == ["<end> ▸ the", "the ▸ cat", "cat ▸ sat", "sat ▸ <end>"]
    # The row under the pointer, on the picture and in the matrix alike.
    chips.nth(2).hover()
    expect(read.locator("figcaption")).to_have_text(screen.say("patches.read", token="cat ▸ sat"))
    screen.page.mouse.move(5, 5)
    expect(read.locator("figcaption")).to_have_text(screen.say("patches.read", token="the ▸ cat"))
    screen.page.mouse.move(*screen.cell(3, 6))
    expect(read.locator("figcaption")).to_have_text(screen.say("patches.read", token="sat ▸ <end>"))
    chips.nth(2).click()
    screen.wait_for_link(q=2)
    expect(chips.nth(2)).to_have_class(re.compile("selected"))
    # A patch is a key: [CLS] stands before them, and the lower right one is the last.
    box = read.locator("canvas").bounding_box()
    screen.page.mouse.click(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5)
    screen.wait_for_link(q=2, k=16)


@pytest.mark.parametrize("page", ["", "heads"])
def test_words_are_one_switch_for_every_view(screen, page: str) -> None:
    screen.open(page, model="gpt2", text="Once upon a time unbelievably fast", lang="en")
    screen.find(".stCheckbox, [data-testid=stCheckbox]").filter(has_text=screen.say("pick.by_word")).locator(
        "label"
    ).click()
    screen.wait_for_link(words=1)
    screen.open(page, model="gpt2", text="Once upon a time unbelievably fast", lang="en", words=1)
    chips = screen.find(".overview .words.source .chip, .lines .chip")
    assert any("unbelievably" in text for text in chips.all_inner_texts())


def test_the_lines_of_a_long_text_are_scrolled_to_the_selected_pair(screen) -> None:
    screen.open(
        "heads",
        model="gpt2",
        text=LONG,
        site="decoder.1.self",
        head=2,
        q=300,
        k=290,
        lang="en",
        tab="lines_part.near",
    )
    lines = screen.find(".headlight.lines")
    chosen = lines.locator(".chip.selected")
    expect(chosen).to_have_count(2)
    inside = """(root) => {
        const stage = root.querySelector(".stage").getBoundingClientRect();
        const places = [...root.querySelectorAll(".chip.selected")].map((chip) => chip.getBoundingClientRect());
        return root.querySelector(".stage").scrollTop > 0 && places.every((p) => p.top >= stage.top && p.bottom <= stage.bottom);
    }"""
    assert lines.evaluate(inside)
    # What a person scrolls to stays.
    lines.evaluate("(root) => { root.querySelector('.stage').scrollTop = 0; }")
    screen.page.wait_for_timeout(300)
    assert lines.evaluate("(root) => root.querySelector('.stage').scrollTop") == 0


def test_what_was_opened_is_offered_after_the_page_is_loaded_anew(new_screen) -> None:
    """The browser keeps it, as long as it runs; another visitor's does not have it."""
    mine, another = new_screen(), new_screen()
    mine.open("models", lang="en").find(".st-key-open-gpt2 button").click()
    mine.shows_title("headline.title")
    mine.wait_for_link(model="gpt2")
    for screen, offered in ((mine, 1), (another, 0)):
        screen.open("models", lang="en")
        expect(screen.find(".st-key-models-recent [data-testid=stButton]")).to_have_count(offered)
    (cookie,) = [told for told in mine.context.cookies() if told["name"] == "headlight-recent"]
    assert cookie["expires"] == -1 and cookie["sameSite"] == "Strict"
