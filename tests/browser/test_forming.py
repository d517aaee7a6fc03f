"""Forming in Chromium: the slider redraws the matrix in the page, letting go tells the link, and what plays goes through."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from model import history, open_model

TEXT = "abcdabcd"  # few enough tokens for a number in every cell
# A hand on the slider: the matrix is drawn anew without asking the server.
DRAG = """([root, place]) => {
  const range = root.querySelector(".scrub input");
  range.value = place;
  range.dispatchEvent(new Event("input"));
  const shown = () => root.querySelector(".scrub").dataset.step;
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(shown()))));
}"""
WRITTEN = """
window.written = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.written.push(String(text));
  return fill.call(this, text, ...where);
};
"""


# Where the middle between the last two points of the highest curve is on the screen.
HIGHEST = """(chart) => {
  const ends = [...chart.querySelectorAll("path[stroke-width='9']")].map((path) => {
    const at = path.getTotalLength(), end = path.getPointAtLength(at - 12).matrixTransform(path.getScreenCTM());
    return [end.x, end.y];
  });
  return ends.sort((one, other) => one[1] - other[1])[0];
}"""


def numbers_in(screen) -> set[str]:
    return {text for text in screen.page.evaluate("window.written") if re.fullmatch(r"[01]\.\d+", text)}


def test_the_slider_redraws_at_once_and_what_is_let_go_stands_in_the_link(new_screen) -> None:
    screen = new_screen()
    screen.context.add_init_script(WRITTEN)
    screen.page.set_viewport_size({"width": 1440, "height": 1000})
    screen.open("forming", model="induction", text=TEXT, site="decoder.1.self", head=1, lang="en")
    steps = history("induction")
    root = screen.find(".headlight.matrix").first
    expect(root.locator(".scrub output")).to_have_text(f"step {steps[-1]:,}")
    handle, seen = root.element_handle(), {}
    for place in (0, len(steps) // 2, len(steps) - 2):
        screen.page.evaluate("window.written = []")
        assert screen.page.evaluate(DRAG, [handle, place]) == str(steps[place])
        seen[place] = numbers_in(screen)
        weights = open_model("induction", step=steps[place]).trace(TEXT).weights("decoder.1.self", 1)
        digits = {len(text) - 2 for text in seen[place]}
        assert seen[place] <= {f"{value:.{n}f}" for value in weights.flatten().tolist() for n in digits}
        assert len(seen[place]) > 5
        trace = open_model("induction", step=steps[place]).trace(TEXT)
        rows = [
            f"{a} ▸ {trace.vocabulary[i]}"
            for a, i in zip(trace.tokens("decoder"), trace.logits.argmax(-1), strict=True)
        ]
        assert set(rows) == {
            text for text in screen.page.evaluate("window.written") if " ▸ " in text and len(text) < 12
        }
    assert len({frozenset(each) for each in seen.values()}) == 3
    expect(screen.find(".st-key-forming-curves-at-rest")).to_have_css(
        "opacity", "0.33"
    )  # their line is of another step
    root.locator(".scrub input").dispatch_event("change")
    screen.wait_for_link(set=f"forming-step.{steps[-2]}")
    expect(root.locator(".scrub output")).to_have_text(f"step {steps[-2]:,}")
    expect(screen.find(".st-key-forming-curves-at-rest")).to_have_css("opacity", "1")


def test_it_plays_to_the_end(new_screen) -> None:
    screen = new_screen()
    steps = history("induction")
    link = {"text": TEXT, "site": "decoder.1.self", "head": 1, "set": f"forming-step.{steps[-4]}"}
    screen.open("forming", model="induction", lang="en", **link)
    root = screen.find(".headlight.matrix").first
    root.get_by_label("play").click()
    expect(root.get_by_label("pause")).to_be_visible()
    expect(root.locator(".scrub output")).to_have_text(f"step {steps[-1]:,}")
    expect(root.get_by_label("play")).to_be_visible()
    expect(screen.page).not_to_have_url(re.compile(r"[?&]set="))  # the last step is where the page begins


def test_a_press_on_a_curve_selects_its_head(new_screen) -> None:
    screen = new_screen()
    screen.page.set_viewport_size({"width": 1440, "height": 1200})
    link = {"text": TEXT, "site": "decoder.1.self", "head": 1, "set": "forming-measure.previous"}
    screen.open("forming", model="induction", lang="en", **link)
    chart = screen.page.locator("[data-testid=stVegaLiteChart]").first
    chart.scroll_into_view_if_needed()
    weights = {(site, head): open_model("induction").trace(TEXT).weights(site, head).diagonal(-1).mean()
               for site in ("decoder.0.self", "decoder.1.self") for head in range(4)}  # fmt: skip
    site, head = max(weights, key=weights.get)
    screen.page.mouse.click(*chart.evaluate(HIGHEST))
    screen.wait_for_link(site=site, head=str(head))
