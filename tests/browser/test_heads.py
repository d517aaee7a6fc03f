"""The matrix and the lines: click, keys, zoom, head, language, and the way to the cell's arithmetic."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from model.steps.weight import attention_weight as arithmetic_of
from model.steps.weight import weight_derivation
from viz.heads import color_scale

TEXT, SITE, HEAD = "the cat sat on the mat", "encoder.1.self", 2


@pytest.fixture
def heads(screen):
    return screen.open("heads", text=TEXT, site=SITE, head=HEAD, q=0, k=0, to="zh", lang="en")


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_a_clicked_cell_is_written_out_on_the_step_by_step_page(heads, translator) -> None:
    heads.click_cell(4, 1)
    expect(heads.matrix).to_have_attribute("data-row", "4")
    heads.find("[data-testid=stPageLink] a").filter(has_text=heads.say("door.cell")).click()
    heads.shows_title("steps.title")
    heads.wait_for_link(q=4, k=1)
    heads.find("summary").filter(has_text=re.compile(r"\d")).click()
    pattern = re.escape(heads.say("steps.calculator", printed="P", exact="E", root="R", score="S", weight="W"))
    for name in "PERSW":
        pattern = re.sub(rf"(?<![A-Za-z]){name}(?![A-Za-z])", rf"(?P<{name}>[−-]?\\d+\\.\\d+)", pattern, count=1)
    start = heads.say("steps.calculator", printed="P", exact="E", root="R", score="S", weight="W").split("P", 1)[0]
    caption = heads.find("[data-testid=stCaptionContainer]").filter(has_text=start).first
    expect(caption).to_be_visible()
    found = re.search(pattern, caption.inner_text()).groupdict()
    cell = weight_derivation(translator.trace(TEXT, language="zh"), SITE, HEAD, 4, 1)
    for name, expected in {"E": cell.product, "S": cell.score, "W": cell.weight}.items():
        assert abs(number(found[name]) - expected) < 2e-6, name
    assert abs(number(found["P"]) - cell.product) < 0.01
    products = heads.find("[data-testid=stCode]").first.inner_text()
    factors = [number(f) for f in re.findall(r"[−-]?\d+\.\d+", products)]
    expected = [round(f, 4) for pair in cell.terms for f in pair]
    assert factors == pytest.approx(expected, abs=1.01e-4)


def test_a_chosen_cell_is_written_out_below_the_matrix(heads, translator) -> None:
    record = translator.trace(TEXT, language="zh").record(SITE)
    figure = heads.find(".headlight.matrix").first
    for i, j in ((4, 1), (0, 5), (2, 2)):
        heads.click_cell(i, j)
        cell = arithmetic_of(record, HEAD, i, j)
        scaled, left = cell.product * cell.scale, cell.score - cell.log_sum
        *scores, weight = heads.sums(figure, i, j)
        d_k = record.q.shape[-1]
        assert scores == pytest.approx([cell.product, d_k, d_k**0.5, scaled, cell.log_sum, left, left], rel=6e-3)
        assert figure.locator(".sums .term", has_text="Σ").get_attribute("title") == heads.say("map.log_sum")
        assert weight == pytest.approx(cell.weight, rel=0.05)  # a small one is written with two digits
    heads.page.keyboard.press("ArrowDown")
    assert heads.sums(figure, 3, 2)[-1] == pytest.approx(record.weights(HEAD)[3, 2].item(), rel=6e-3)


def test_the_arrow_keys_move_the_selection(heads) -> None:
    heads.click_cell(2, 2)
    for key, q, k in (("ArrowDown", 3, 2), ("ArrowRight", 3, 3), ("ArrowUp", 2, 3), ("ArrowLeft", 2, 2), ("End", 2, 5)):
        heads.page.keyboard.press(key)
        expect(heads.matrix).to_have_attribute("data-row", str(q))
        expect(heads.matrix).to_have_attribute("data-column", str(k))
    heads.wait_for_link(q=2, k=5)
    heads.page.keyboard.press("Home")
    for _ in range(4):
        heads.page.keyboard.press("ArrowUp")
    heads.wait_for_link(q=0, k=0)


def test_quick_clicks_all_count(heads) -> None:
    for row in range(6):
        heads.page.mouse.click(*heads.cell(row, 5 - row))
    heads.wait_for_link(q=5, k=0)
    heads.pick("head-en", "1")
    heads.find(".headlight.matrix > canvas").click(position={"x": 5, "y": 5})
    heads.pick("head-en", "3")
    heads.page.mouse.click(*heads.cell(1, 1))
    heads.wait_for_link(head=3, q=1, k=1)
    heads.page.wait_for_timeout(500)
    heads.wait_for_link(head=3, q=1, k=1)


def test_plus_zooms_in_and_zero_shows_everything(screen) -> None:
    text = "the animal didn't cross the street because it was too tired"
    screen.open("heads", text=text, site=SITE, head=0, q=0, k=0, lang="en").click_cell(5, 5)
    screen.settle()

    def pitch() -> float:
        return screen.cell(5, 6)[0] - screen.cell(5, 5)[0]

    whole = pitch()
    screen.page.keyboard.press("+")
    assert pitch() == pytest.approx(1.5 * whole)
    screen.page.mouse.click(*screen.cell(6, 5))
    screen.wait_for_link(q=6, k=5)
    screen.page.keyboard.press("0")
    assert pitch() == pytest.approx(whole)


def test_hover_names_the_pair_and_its_weight(heads, translator) -> None:
    trace = translator.trace(TEXT, language="zh")
    heads.page.mouse.move(*heads.cell(3, 4))
    readout = heads.find(".headlight.matrix .readout")
    expect(readout).to_contain_text("on")
    expect(readout).to_contain_text("the")
    # Every digit of the float32 stands in the read-out, or three where they are enough.
    digits = readout.locator(".value, .exact:not(:empty)").last.inner_text()
    assert number(digits) == pytest.approx(float(trace.weights(SITE, HEAD)[3, 4]), rel=1e-6)


def test_another_head_is_another_matrix(heads) -> None:
    drawn = heads.matrix.get_attribute("data-drawn")
    heads.pick("head-en", "0")
    heads.wait_for_link(head=0)
    expect(heads.matrix).not_to_have_attribute("data-drawn", drawn)
    expect(heads.find(".st-key-selection-line")).to_contain_text(heads.say("site.head", head=0))


def test_the_language_switch_changes_the_words_and_keeps_the_selection(heads) -> None:
    heads.click_cell(3, 4)
    before = {name: value for name, value in heads.link.items() if name != "lang"}
    heads.pick("ui_language-en", "中文")
    heads.wait_for_link(lang="zh")
    heads.shows_title("heads.title")
    assert {name: value for name, value in heads.link.items() if name != "lang"} == before
    expect(heads.matrix).to_have_attribute("data-row", "3")
    expect(heads.find(".headlight.matrix .foot")).to_contain_text(heads.say("matrix.legend"))
    heads.pick("ui_language-zh", "English")
    heads.wait_for_link(lang="en")
    heads.shows_title("heads.title")


def test_a_reload_keeps_everything(heads) -> None:
    heads.click_cell(5, 2)
    before = heads.link
    heads.page.reload()
    heads.settle()
    assert heads.link == before
    expect(heads.matrix).to_have_attribute("data-row", "5")
    expect(heads.matrix).to_have_attribute("data-column", "2")


def test_a_link_restores_everything_for_somebody_else(heads, new_screen) -> None:
    heads.click_cell(2, 4)
    other = new_screen(locale="zh-CN")
    other.page.goto(heads.page.url)
    other.settle()
    assert other.link == heads.link
    expect(other.matrix).to_have_attribute("data-row", "2")
    expect(other.matrix).to_have_attribute("data-column", "4")
    other.shows_title("heads.title")


def test_back_brings_the_earlier_page(heads) -> None:
    heads.find("[data-testid=stPageLink] a").filter(has_text=heads.say("door.cell")).click()
    heads.shows_title("steps.title")
    heads.wait_for_link(site=SITE)
    heads.page.go_back()
    heads.shows_title("heads.title")
    heads.settle()


def test_the_colours_may_end_at_the_largest_weight(heads, translator) -> None:
    weights = translator.trace(TEXT, language="zh").weights(SITE, 0)
    heads.open("heads", text=TEXT, site=SITE, head=0, q=0, k=0, to="zh", lang="en")
    end = color_scale.round_up(float(weights.max()))
    row, column = divmod(int(weights.clamp(max=0.3).argmax()), weights.shape[1])
    x, y = heads.cell(row, column)
    foot = heads.find(".headlight.matrix .foot")
    expect(foot).to_contain_text(heads.say("matrix.legend_1"))
    pale = heads.pixel(x + 12, y - 12)
    heads.pick("scale-en", heads.say("pick.scale_max"))
    heads.wait_for_link(scale="max")
    expect(foot).to_contain_text(heads.say("matrix.legend_max", end=color_scale.written(end), most="\0").split("\0")[0])
    expect(foot.locator(".end").last).to_have_text(color_scale.written(end))
    x, y = heads.cell(row, column)
    assert end == 1 or sum(heads.pixel(x + 12, y - 12)) < sum(pale)


def test_long_tokens_end_where_their_lines_begin(screen) -> None:
    text = "counterrevolutionaries antidisestablishmentarianism internationalization"
    screen.open("heads", model="gpt2", text=text, words=1, site="decoder.0.self", lang="en")
    lines = screen.find(".headlight.lines")
    expect(lines.locator(".column.left .chip").first).to_be_visible()
    over = lines.evaluate(
        """(root) => [...root.querySelectorAll(".column")].map((column) => {
          const own = column.getBoundingClientRect();
          return Math.max(...[...column.children].map((chip) => {
            const box = chip.getBoundingClientRect();
            return Math.max(box.right - own.right, own.left - box.left);
          }));
        })"""
    )
    assert max(over) < 1


def test_more_lines_than_can_be_told_apart_are_drawn_only_when_all_are_asked_for(screen) -> None:
    """80 tokens with even attention: 90 % of each row was a haze of 3,000 lines. Every row keeps its strongest."""
    text = " ".join(["the cat sat on the mat and the dog was too tired to cross the street because of it"] * 2)
    screen.open("heads", model="gpt2", text=text, site="decoder.1.self", head=0, tab="lines.p90", lang="en")
    lines = screen.find(".headlight.lines")

    text = lines.locator(".told").inner_text()
    drawn, cells, _, asked, more = (float(found) for found in re.findall(r"\d+(?:\.\d+)?", text.replace(",", "")))
    n = lines.locator(".column.left .chip").count()
    assert 70 < n <= 96 and cells == n * (n + 1) // 2
    assert 400 < drawn <= 600 + n and drawn + more == asked <= cells and int(lines.get_attribute("data-lines")) == drawn
    every = lines.get_by_role("button", name=screen.say("lines.every", asked=f"{asked:,.0f}"))
    every.click()
    expect(lines).to_have_attribute("data-lines", f"{asked:.0f}")
    assert "weaker" not in lines.locator(".told").inner_text()
    lines.get_by_role("button", name=screen.say("lines.fewer")).click()
    expect(lines).to_have_attribute("data-lines", f"{drawn:.0f}")


def test_heads_are_switched_on_in_the_lines(heads) -> None:
    lines = heads.find(".headlight.lines")
    before = int(lines.get_attribute("data-lines"))
    heads.find(".headlight.lines .pills button").filter(has_text="0").first.click()
    heads.wait_for_link(heads="0.2")
    assert int(lines.get_attribute("data-lines")) > before


def test_a_chosen_site_is_shown(heads) -> None:
    heads.find(".st-key-site-en [data-baseweb=select], .st-key-site-en input").first.click()
    heads.page.get_by_role("option").first.click()  # the last layer is on top
    heads.wait_for_link(site="decoder.1.cross")
    expect(heads.find(".st-key-selection-line")).to_contain_text(heads.say("site.cross"))
