"""Matrices to compare: cells of one size with rows on one line, and a number in every cell, with its sign or without."""

from __future__ import annotations

# What is written on every canvas is kept, by the canvas' own figure.
RECORD = """
window.written = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.written.push(String(text));
  return fill.call(this, text, ...where);
};
"""
PLACES = """(hosts) => hosts.map((host) => {
  const nodes = [host, ...host.querySelectorAll("*")];
  const root = nodes.map((node) => node.shadowRoot?.querySelector(".headlight.matrix")).find(Boolean);
  const [a, b] = [root.__cell(0, 0), root.__cell(1, 1)];
  return { y: a.y, wide: b.x - a.x, high: b.y - a.y };
})"""


def test_two_inputs_stand_on_one_line_and_show_every_sign(new_screen) -> None:
    screen = new_screen()
    screen.context.add_init_script(RECORD)
    screen.page.set_viewport_size({"width": 1440, "height": 1000})
    link = {"text": "I like big red cats", "to": "zh", "site": "encoder.0.self", "head": 0}
    screen.open("comparing", tab="comparing.inputs", against="text:I like cats and dogs", **link)
    hosts = screen.page.locator("[data-testid=stBidiComponentIsolated]:has(.headlight.matrix)")
    assert hosts.count() == 3
    places = hosts.evaluate_all(PLACES)
    for name in ("y", "wide", "high"):
        assert len({round(place[name], 3) for place in places}) == 1, name
    written = screen.page.evaluate("window.written")
    # cats → big 0.762 in the first text alone; and to the right of it, what the second gives more.
    assert "−0.76" in written and "0.71" in written


def test_rows_are_named_whole_where_two_matrices_share_a_narrow_window(new_screen) -> None:
    screen = new_screen()
    screen.context.add_init_script(RECORD)
    screen.page.set_viewport_size({"width": 900, "height": 1200})
    link = {"text": "the grandmother gave him a beautiful red apple", "to": "fr", "lang": "en"}
    screen.open("comparing", picks="decoder.0.self.3,encoder.1.self.0", **link)
    hosts = screen.page.locator("[data-testid=stBidiComponentIsolated]:has(.headlight.matrix)")
    assert hosts.count() == 2
    assert len({round(place["y"]) for place in hosts.evaluate_all(PLACES)}) == 1  # beside each other
    written = set(screen.page.evaluate("window.written"))
    assert {"la ▸ grand-mère", "grand-mère ▸ lui", "belle ▸ pomme", "beautiful"} <= written
    assert not [text for text in written if text.endswith("…")]
