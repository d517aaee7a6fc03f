"""The map under a hand: wheel, drag, brush, go to, click, another head; and what it says is the model's."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

import numpy as np
import pytest
from playwright.sync_api import expect

from tests import bounds
from tests.browser.screen import FIND_MAP

TEXT, SITE, HEAD = " ".join(["the cat sat on the mat"] * 8), "encoder.1.self", 2
STILL = "() => !window.M.tiles.running.size && !window.M.tiles.waiting.size && !window.M.frame"


@pytest.fixture
def chart(screen):
    screen.open("map", text=TEXT, site=SITE, head=HEAD, q=0, k=0, to="zh", lang="en")
    screen.page.wait_for_function(FIND_MAP)
    screen.page.wait_for_function(STILL)
    return screen


def view(chart) -> dict[str, float]:
    return chart.page.evaluate("() => ({ ...M.view })")


def at(chart, row: float, column: float) -> tuple[float, float]:
    """Where on the screen a place of the matrix is."""
    return tuple(chart.page.evaluate("""([row, column]) => {
      const { view, box, canvas } = M, { left, top } = canvas.getBoundingClientRect();
      return [left + box.x + (column - view.x) * view.scale, top + box.y + (row - view.y) * view.scale];
    }""", [row, column]))  # fmt: skip


def drag(chart, start, end) -> None:
    chart.page.mouse.move(*start)
    chart.page.mouse.down()
    for step in (0.3, 0.7, 1):
        chart.page.mouse.move(*(a + (b - a) * step for a, b in zip(start, end, strict=True)))
    chart.page.mouse.up()


def area(chart) -> list[int]:
    """First query, first key and cells of the link."""
    chart.page.wait_for_function("() => /area=[0-9]/.test(location.search)")
    chart.page.wait_for_timeout(700)
    chart.settle()
    return [int(part) for part in chart.link["area"].split(".")]


def test_the_wheel_zooms_about_the_pointer_and_a_drag_moves(chart) -> None:
    whole = view(chart)
    chart.page.mouse.move(*at(chart, 30.5, 20.5))
    for _ in range(6):
        chart.page.mouse.wheel(0, -250)
    chart.page.wait_for_function(f"() => M.view.scale > {2 * whole['scale']}")
    near = view(chart)
    assert near["x"] < 20.5 < near["x"] + 30 and near["y"] < 30.5 < near["y"] + 30
    drag(chart, at(chart, near["y"] + 4, near["x"] + 4), at(chart, near["y"] + 1, near["x"] + 2))
    moved = view(chart)
    assert moved["scale"] == near["scale"]
    assert moved["x"] == pytest.approx(near["x"] + 2, abs=0.2) and moved["y"] == pytest.approx(near["y"] + 3, abs=0.2)
    first_q, first_k, cells = area(chart)
    assert abs(first_q - moved["y"]) <= 1 and abs(first_k - moved["x"]) <= 1 and 1 <= cells < 48
    chart.page.get_by_text(chart.say("map.whole"), exact=True).click()
    chart.page.wait_for_function("() => !/area=[0-9]/.test(location.search)")
    assert view(chart) == pytest.approx(whole)


def test_a_brushed_span_is_what_is_seen(chart) -> None:
    x, y = at(chart, 0, 12)
    end, _ = at(chart, 0, 36)
    drag(chart, (x, y - 18), (end, y - 18))
    seen = view(chart)
    assert seen["x"] == pytest.approx(12, abs=0.6)
    width = chart.page.evaluate("() => M.box.width / M.view.scale")
    assert width == pytest.approx(24, abs=1.2)
    assert abs(area(chart)[1] - 12) <= 1


def test_a_cell_says_its_weight_and_its_arithmetic(chart, translator) -> None:
    record = translator.trace(TEXT, language="zh").record(SITE)
    scores = record.scores(HEAD).double().numpy()
    row = np.exp(scores[7] - scores[7].max())
    weight = row[9] / row.sum()
    for _ in range(4):
        chart.page.evaluate("() => M.zoomAt(M.box.x + 100, M.box.y + 100, 2)")
    chart.page.evaluate("() => M.look(5, 3, 40)")
    chart.page.mouse.click(*at(chart, 7.5, 9.5))
    chart.wait_for_link(q=7, k=9)
    chart.page.wait_for_function("() => M.sums.root.dataset.cell === '7.9' && M.sums.root.textContent")
    product, scale, score, _, told = chart.page.evaluate("() => [...M.sums.kept.get(M.sums.key)]")
    assert told == pytest.approx(weight, abs=bounds.WEIGHT) and product * scale == pytest.approx(score, abs=1e-9)
    assert score == bounds.near(scores[7, 9], 64)
    profile = chart.page.evaluate("() => M.tiles.profile('row', 7)[9]")
    assert profile == pytest.approx(weight, abs=bounds.WEIGHT)
    expect(chart.find(".headlight.map .sums")).to_contain_text("q·k =")


def test_another_head_shows_other_pixels_and_goes_into_the_link(chart) -> None:
    before = chart.page.evaluate("() => M.canvas.toDataURL()")
    chart.page.evaluate("() => M.turnTo(M.head + 1)")
    chart.wait_for_link(head=HEAD + 1)
    chart.page.wait_for_function(STILL)
    assert chart.page.evaluate("() => M.canvas.toDataURL()") != before


def test_go_to_a_word_moves_there_and_a_strange_one_is_marked(chart) -> None:
    field = chart.find(".headlight.map input.go")
    field.fill("no such word")
    field.press("Enter")
    expect(field).to_have_class(re.compile("missing"))
    field.fill("30")
    field.press("Enter")
    expect(field).not_to_have_class(re.compile("missing"))
    seen, cells = view(chart), chart.page.evaluate("() => M.box.height / M.view.scale")
    assert seen["y"] <= 30 <= seen["y"] + cells


def test_tiles_are_refused_without_the_sessions_token(chart) -> None:
    address = chart.page.evaluate("() => new URL(M.tiles.key(M.depth, 0, 0), document.baseURI).href")
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200
    token = re.search(r"/([A-Za-z0-9_-]{32})/", address)[1]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.replace(token, "A" * 32))
    with refused.value as error:
        assert error.code == 404
