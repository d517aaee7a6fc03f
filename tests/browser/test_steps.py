"""Step by step and by hand in the browser: unfolding, a click inside a matrix, a number typed into an editor."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.screen import PATIENCE

TEXT, SITE = "the cat sat on the mat", "decoder.0.cross"
EQUATIONS = ".headlight.equation"


@pytest.fixture
def steps(screen):
    return screen.open("steps", text=TEXT, site=SITE, head=0, q=1, k=1, to="zh", lang="en")


def cell(screen, key: str, name: str, row: int, column: int) -> tuple[float, float]:
    """Where a cell of the matrix `name` in the step `key` is on the screen."""
    root = screen.find(f".st-key-{key} {EQUATIONS}")
    root.scroll_into_view_if_needed()
    point = root.evaluate("(root, [name, row, column]) => root.__cell(name, row, column)", [name, row, column])
    return point["x"], point["y"]


def test_a_click_in_the_weights_selects_that_cell(steps) -> None:
    steps.page.mouse.click(*cell(steps, "step-softmax", "A", 2, 3))
    steps.wait_for_link(q=2, k=3)


def test_a_click_in_the_weights_is_written_out_below_them(steps, translator) -> None:
    record = translator.trace(TEXT, language="zh").record(SITE)
    steps.page.mouse.click(*cell(steps, "step-softmax", "A", 2, 3))
    told = steps.sums(steps.find(f".st-key-step-softmax {EQUATIONS}"), 2, 3)
    assert told[-1] == pytest.approx(record.weights(0)[2, 3].item(), rel=6e-3)
    assert told[0] == pytest.approx(float(record.q[0, 2] @ record.k[0, 3]), rel=6e-3)


def test_a_click_in_a_window_of_a_long_text_selects_what_is_there(screen, translator) -> None:
    """Of 72 tokens 48 are drawn, from 24 on. The chosen cell's arithmetic stays when the pointer leaves."""
    long = " ".join([TEXT] * 12)
    screen.open("steps", text=long, site="encoder.0.self", head=1, q=60, k=61, to="zh", lang="en")
    screen.page.mouse.click(*cell(screen, "step-softmax", "A", 40, 6))
    screen.wait_for_link(q=64, k=30)
    screen.page.mouse.move(5, 5)
    told = screen.sums(screen.find(f".st-key-step-softmax {EQUATIONS}"), 64, 30)
    weights = translator.trace(long, language="zh").record("encoder.0.self").weights(1)
    assert told[-1] == pytest.approx(weights[64, 30].item(), rel=6e-3)


def test_a_click_in_the_queries_selects_that_query(steps) -> None:
    steps.page.mouse.click(*cell(steps, "step-q", "q", 3, 5))
    steps.wait_for_link(q=3, k=1)


def test_steps_unfold_one_at_a_time(steps) -> None:
    count = steps.find(EQUATIONS).count()
    steps.pick("unfold-en", steps.say("steps.one"))
    steps.wait_for_link(step=0)
    expect(steps.find(EQUATIONS)).to_have_count(1)
    steps.find(".st-key-step-next button").click()
    steps.wait_for_link(step=1)
    expect(steps.find(EQUATIONS)).to_have_count(2)
    steps.find(".st-key-step-back button").click()
    steps.wait_for_link(step=0)
    expect(steps.find(EQUATIONS)).to_have_count(1)
    steps.pick("unfold-en", steps.say("steps.all"))
    expect(steps.find(EQUATIONS)).to_have_count(count, timeout=PATIENCE)


def test_formulas_are_typeset(steps) -> None:
    assert steps.find(".katex").count() > 20
    expect(steps.find(".katex-error")).to_have_count(0)


def test_a_number_typed_by_hand_moves_the_scores(screen) -> None:
    screen.open("by_hand", lang="en")
    formula = screen.find(".katex annotation").filter(has_text="S_{1,1}").first
    before = formula.text_content()
    editor = screen.find("[class*=st-key-edit-x] canvas").first
    box = editor.bounding_box()
    # The first column is the index; the second row of the body is x1.
    screen.page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 35 * 2.5)
    expect(screen.find("canvas:focus, [role=grid]:focus, :focus [role=grid]").first).to_be_attached()
    screen.page.keyboard.press("Enter")  # opens the cell with its number selected
    typing = screen.find("#portal input")
    typing.fill("7")
    typing.press("Enter")
    expect(formula).not_to_have_text(before)
    screen.find(".st-key-by-hand-reset button").click()
    expect(formula).to_have_text(before)
