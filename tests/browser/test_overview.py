"""The first screen: edit the sentence in place, go where a click points, keep the picture when the text is bad."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


@pytest.fixture
def overview(screen):
    return screen.open(text="I like cats", to="zh", lang="en")


def edit(screen, text: str) -> None:
    """Type over the sentence in the picture and press Enter."""
    screen.find(".headlight.overview button.edit").click()
    box = screen.find(".headlight.overview .editor input")
    box.fill(text)
    box.press("Enter")


def sources(screen):
    return screen.find(".headlight.overview .words.source .chip bdi")


def test_the_sentence_is_edited_in_place(overview, translator) -> None:
    edit(overview, "the cat sat on the mat")
    overview.wait_for_link(text="the+cat+sat+on+the+mat")
    expect(sources(overview)).to_have_text(["the", "cat", "sat", "on", "the", "mat"])
    written = translator.trace("the cat sat on the mat", language="zh").written()[:-1]
    expect(overview.find(".headlight.overview .words.target .chip bdi")).to_have_text(written)
    expect(overview.find(".st-key-text-en input")).to_have_value("the cat sat on the mat")


def test_a_typed_word_leads_to_the_row_that_looks_at_it_most(overview, translator) -> None:
    overview.open(text="she gave him a red apple", to="fr", lang="en")
    record, head = translator.trace("she gave him a red apple", language="fr").record("decoder.1.cross"), 1
    row = int(record.weights(head)[:-1, 4].argmax())
    before = overview.page.evaluate("history.length")
    sources(overview).nth(4).click()
    overview.wait_for_link(head=head, q=row, k=4)
    assert overview.path == "heads" and overview.page.evaluate("history.length") == before + 1
    overview.page.go_back()
    expect(sources(overview)).to_have_count(6)


def test_words_and_ribbons_stand_whole_where_they_fit_closer_together(overview) -> None:
    """They were cut off at the end of the row while there was room between and inside the chips."""
    overview.open(text=" ".join(["the cat sat on the mat"] * 4), to="zh")
    hidden = "([box]) => box.scrollWidth - box.clientWidth"
    expect(sources(overview)).to_have_count(24)
    assert overview.find(".headlight.overview .scroll").evaluate_all(hidden) <= 1


# The least distance between the two edges of a ribbon's outline, its ends left out.
ACROSS = """(paths) => Math.min(...paths.map((path) => {
  const whole = path.getTotalLength(), at = (share) => path.getPointAtLength(whole * share);
  const places = (from, to, count) => Array.from({ length: count }, (_, i) => at(from + ((to - from) * i) / (count - 1)));
  const edge = places(0.1, 0.4, 30), other = places(0.5, 1, 400);
  return Math.min(...edge.map((p) => Math.min(...other.map((q) => Math.hypot(p.x - q.x, p.y - q.y)))));
}))"""


def test_a_thin_ribbon_that_runs_nearly_level_is_one_line(overview) -> None:
    overview.open(text="the animal didn't cross the street because it was too tired", to="fr")
    ribbons = overview.find(".headlight.overview .ribbons path")
    assert ribbons.count() > 20
    assert ribbons.evaluate_all(ACROSS) >= 1


def test_the_side_bars_sentence_is_run(overview) -> None:
    box = overview.find(".st-key-text-en input")
    box.fill("she gave him a red apple")
    box.press("Enter")
    overview.wait_for_link(text="she+gave+him+a+red+apple")
    expect(sources(overview)).to_have_text(["she", "gave", "him", "a", "red", "apple"])


@pytest.mark.parametrize(
    "text", ["I like catz", "   ", "I like 🐱", "</script><b>x", "I $ like $ **cats** ![x](//h/i)"]
)
def test_a_bad_sentence_is_explained_and_the_picture_stays(overview, text: str) -> None:
    box = overview.find(".st-key-text-en input")
    box.fill(text)
    box.press("Enter")
    alert = overview.find("[data-testid=stAlert]")
    expect(alert).to_have_count(1)
    if text.strip():
        word = next(w for w in ("catz", "🐱", "script", "$") if w in text)
        expect(alert).to_contain_text(f"“{word}”")
    expect(alert.locator("img, b, .katex")).to_have_count(0)
    overview.settle()
    expect(sources(overview)).to_have_text(["I", "like", "cats"])
    box.fill("I like cats")
    box.press("Enter")
    expect(alert).to_have_count(0)


def test_a_thumbnail_leads_to_its_head(overview) -> None:
    overview.find('.headlight.overview .thumb[data-key="encoder.1.self 3"]').click()
    overview.shows_title("heads.title")
    overview.wait_for_link(site="encoder.1.self", head=3)
    assert overview.path == "heads"
    expect(overview.find(".st-key-selection-line")).to_contain_text(overview.say("site.head", head=3))


def test_a_written_word_leads_to_its_strongest_cell(overview, translator) -> None:
    overview.find('.headlight.overview .words.target [data-key="target 1"]').click()
    overview.shows_title("heads.title")
    overview.settle()
    weights = translator.trace("I like cats", language="zh").weights(overview.link["site"], int(overview.link["head"]))
    assert (overview.link["q"], overview.link["k"]) == ("1", str(int(weights[1].argmax())))


def test_the_next_word_leads_to_the_arithmetic(overview) -> None:
    overview.find('.headlight.overview [data-key="output"]').click()
    overview.shows_title("steps.title")
    assert overview.path == "steps"


def test_hovering_a_word_marks_its_ribbons(overview) -> None:
    overview.find(".headlight.overview .words.target .chip").first.hover()
    expect(overview.find(".headlight.overview .ribbons.focused path.kept").first).to_be_visible()


def test_an_example_is_run(overview) -> None:
    overview.find("[data-testid=stPopover] button").filter(has_text=overview.say("bar.examples")).click()
    overview.find(".st-key-example-2 button").click()
    expect(overview.find(".st-key-example-2")).to_have_count(0)  # the list closes behind it
    overview.wait_for_link(text="the+cat+sat+on+the+mat")
    expect(sources(overview)).to_have_text(["the", "cat", "sat", "on", "the", "mat"])


def test_the_output_language_is_switched(overview, translator) -> None:
    overview.pick("to-en", overview.say("language.fr"))
    overview.wait_for_link(to="fr")
    written = translator.trace("I like cats", language="fr").written()[:-1]
    expect(overview.find(".headlight.overview .words.target .chip bdi")).to_have_text(written)


def test_two_people_do_not_disturb_each_other(overview, new_screen) -> None:
    other = new_screen().open(text="she gave him a red apple")
    edit(overview, "the cat sat on the mat")
    overview.wait_for_link(text="the+cat+sat+on+the+mat")
    expect(sources(other)).to_have_text(["she", "gave", "him", "a", "red", "apple"])


@pytest.mark.parametrize("page", ["heads", "steps", "by_hand"])
def test_a_door_leads_to_its_page_and_keeps_the_selection(overview, page: str) -> None:
    overview.find(".headlight.overview .door").filter(has_text=overview.say(f"door.{page}")).click()
    expect(overview.find("h1")).to_have_text(overview.say(f"{page}.title"))
    overview.wait_for_link(text="I+like+cats", site="decoder.1.cross")


LONG = " ".join(f"the dog {i} jumps over the cat" for i in range(3))
IN_SIGHT = """(node) => {
  const chip = node.getBoundingClientRect(), box = node.closest(".scroll, .chips").getBoundingClientRect();
  return chip.left >= box.left && chip.right <= box.right && chip.top >= box.top && chip.bottom <= box.bottom;
}"""


@pytest.fixture
def narrow(screen):
    """As narrow a window as a few dozen words do not stand in whole."""
    screen.page.set_viewport_size({"width": 760, "height": 900})
    yield screen
    screen.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize(("repeat", "row"), [(1, 33), (4, 180)])
def test_a_long_row_goes_to_the_selected_word(narrow, repeat: int, row: int) -> None:
    """With ribbons, whose two rows scroll together, and of a text that is too long for them."""
    text = " ".join([LONG] * repeat)
    screen = narrow.open(model="gpt2", text=text, site="decoder.0.self", head=0, q=row, k=row - 3, lang="en")
    chips = screen.find(f".headlight.overview .words.{'target' if repeat == 1 else 'source'} .chip")
    scroll = screen.find(".headlight.overview .hero .scroll")
    assert scroll.evaluate("(node) => node.scrollWidth > node.clientWidth && node.scrollLeft > 0")
    index = (
        row if repeat == 1 else chips.evaluate_all("(nodes) => nodes.findIndex((node) => node.matches('.selected'))")
    )
    assert index >= 0 and chips.nth(index).evaluate(IN_SIGHT)
    below = screen.find(".headlight.overview .inputs .chip.selected")
    expect(below).to_have_count(2)
    assert all(node.evaluate(IN_SIGHT) for node in below.all())


def test_a_long_row_begins_at_its_left_where_the_selected_words_are_in_sight(screen) -> None:
    screen.open(model="gpt2", text=LONG, site="decoder.0.self", head=0, q=10, k=9, lang="en")
    scroll = screen.find(".headlight.overview .hero .scroll")
    assert scroll.evaluate("(node) => node.scrollWidth > node.clientWidth && node.scrollLeft === 0")
    for kind, at in (("source", 9), ("target", 10)):
        chip = screen.find(f".headlight.overview .words.{kind} .chip").nth(at)
        assert chip.evaluate("(node) => node.matches('.selected')") and chip.evaluate(IN_SIGHT)


def test_a_models_name_is_not_cut_within_a_letter(screen) -> None:
    screen.open(model="gpt2", text="I like cats", lang="en")
    box = screen.find("[data-testid=stSidebar] [data-testid=stSelectbox] input").first
    assert box.evaluate("(node) => getComputedStyle(node).textOverflow") == "ellipsis"
    box.click()
    names = screen.find("[role=listbox] [role=option] > div")
    expect(names.first).to_be_visible()
    assert names.evaluate_all("(all) => all.every((node) => node.scrollWidth <= node.clientWidth)")
    assert names.first.evaluate("(node) => getComputedStyle(node).whiteSpace") == "normal"


def test_the_heads_of_a_layer_lie_in_one_line_at_every_width(screen) -> None:
    """Half a pixel of width that is rounded up puts the last head on a line of its own."""
    screen.open(text="I like cats", to="zh", lang="en")
    bodies = screen.find(".headlight.overview .part.attention .body")
    try:
        for width in range(893, 909):
            screen.page.set_viewport_size({"width": width, "height": 900})
            screen.page.evaluate(
                "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
            lines = bodies.evaluate_all(
                "(bodies) => bodies.map((body) => new Set([...body.children].map((thumb) => thumb.offsetTop)).size)"
            )
            assert lines and set(lines) == {1}, width
    finally:
        screen.page.set_viewport_size({"width": 1280, "height": 900})


def test_there_is_no_hole_beside_the_decoder(overview) -> None:
    """The encoder is shorter: what leads on from here fills the room above it from top to bottom."""
    parts = (".stack.encoder .top", ".stack.decoder", ".doors .door:first-child", ".doors .door:last-child")
    box = {name: overview.find(f".headlight.overview {name}").bounding_box() for name in parts}
    first, last = box[".doors .door:first-child"], box[".doors .door:last-child"]
    assert abs(first["y"] - box[".stack.decoder"]["y"]) < 12
    assert 0 < box[".stack.encoder .top"]["y"] - (last["y"] + last["height"]) < 48
