"""The tokens' paths: the slider moves the points to another depth, and a second text comes on the same axes."""

from __future__ import annotations

import numpy as np
import torch
from playwright.sync_api import expect

from model import open_model
from model.residual import paths
from tests.browser.screen import Screen

TEXTS = ("the cat saw a dog", "the cat saw a mouse")
POINTS = """() => document.querySelector(".js-plotly-plot")._fullData
  .filter((part) => part.mode === "markers+text").map(({ x, y, z }) => [[...x], [...y], [...z]])"""


def test_the_slider_goes_through_the_layers_of_both_texts(screen: Screen) -> None:
    model = open_model("translate")
    runs = [model.trace(text, language="zh") for text in TEXTS]
    streams = [paths.recorded(run, "encoder", slice(0, 5)) for run in runs]
    flat = torch.cat([run.flatten(0, 1) for run in streams]).numpy()
    _, vectors = np.linalg.eigh((flat - flat.mean(0)).T @ (flat - flat.mean(0)))
    top = vectors[:, ::-1][:, :3]
    top = top * np.sign(top[np.abs(top).argmax(0), range(3)])

    def shown(depth: int) -> np.ndarray:
        return np.array([((run[depth].numpy() - flat.mean(0)) @ top).T for run in streams])

    screen.open("block", text=TEXTS[0], to="zh", tab="block.activations", site="encoder.0.self", set="block-paths.1",
                against=f"text:{TEXTS[1]}")  # fmt: skip
    chart = screen.find(".st-key-block-paths-chart")
    expect(chart.locator(".gl-container canvas").first).to_be_visible()
    expect(chart.locator(".legendtext")).to_have_count(3)
    np.testing.assert_allclose(screen.page.evaluate(POINTS), shown(2), atol=1e-3)
    rail = chart.locator(".slider-rail-touch-rect")
    rail.scroll_into_view_if_needed()
    box = rail.bounding_box()
    screen.page.mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    screen.page.wait_for_function(f"() => Math.abs(({POINTS})()[0][0][0] - {shown(0)[0][0][0]}) < 1e-3")
    np.testing.assert_allclose(screen.page.evaluate(POINTS), shown(0), atol=1e-3)
