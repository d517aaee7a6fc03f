"""What a notebook writes to a file: a page that fetches nothing, whose cells name their two tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import viz
from model import open_model

TEXT = "the cat saw the dog"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_written_page_needs_no_network_and_names_tokens_by_their_place(
    browser: Browser, tmp_path: Path, theme: str
) -> None:
    trace = open_model("translate").trace(TEXT, language="zh")
    path = tmp_path / "head.html"
    viz.plotly_head(trace, "encoder.0.self", 1, theme).write_html(path, include_plotlyjs=True)
    page = browser.new_page(viewport={"width": 900, "height": 700})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    cells = page.locator(".nsewdrag")
    expect(cells).to_be_visible()
    box, n = cells.bounding_box(), 5
    page.mouse.move(box["x"] + box["width"] * 0.5 / n, box["y"] + box["height"] * 3.4 / n)
    page.mouse.move(box["x"] + box["width"] * 0.5 / n, box["y"] + box["height"] * 3.5 / n)
    tip = page.locator(".hoverlayer .hovertext")
    weight = float(trace.weights("encoder.0.self", 1, 3, 0)[0, 0])
    expect(tip).to_contain_text("query 3: the")
    expect(tip).to_contain_text("key   0: the")
    assert float(tip.text_content().split("weight ")[1]) == pytest.approx(weight, rel=1e-3)
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked) and asked
    page.close()
