"""Figures to turn: their points are the numbers they are told, each where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.residual import paths as stream_paths
from tests import bounds
from tests.model import naive
from viz.base import palette
from viz.plotly_figures import paths, positions

THEMES = ["light", "dark"]
WORDS = {"position": "position", "dimension": "dimension {i}", "value": "value", "before": "before", "after": "after"}


@pytest.mark.parametrize("theme", THEMES)
def test_the_surface_is_the_table(theme: str):
    from model.transformer.positions import sinusoidal

    figure = positions.surface(sinusoidal(20, 16, 10_000.0, torch.float64).numpy(), WORDS, theme)
    (part,) = figure.data
    bounds.close(np.asarray(part.z), naive.sinusoid(20, 16)[:, ::2], 16)
    assert list(part.x) == list(range(0, 16, 2))
    assert (part.cmin, part.cmax) == (-1, 1) and part.colorscale[0][1] == palette.diverging(theme)[0]
    assert part.colorbar.title.text == "value" and figure.layout.scene.xaxis.title.text == "dimension {i}"
    assert figure.layout.paper_bgcolor == palette.THEMES[theme]["background"]


@pytest.mark.parametrize("theme", THEMES)
def test_a_pair_stands_at_its_position_before_and_after(theme: str):
    before = np.random.default_rng(0).standard_normal((5, 2))
    after = before @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    figure = positions.turning(before, after, ["a", "<b>", "a", "c", "a"], (3, 7), WORDS, theme)
    arcs, first, second = figure.data
    for part, points in ((first, before), (second, after)):
        np.testing.assert_array_equal(np.stack([part.x, part.y, part.z], 1), np.column_stack([points, range(5)]))
        assert list(part.customdata) == ["0: a", "1: &lt;b&gt;", "2: a", "3: c", "4: a"]
    # Plotly knows no entities among the points: "&lt;" would be read as it stands, and a tag would be taken for one.
    assert list(second.text) == ["0: a", "1: <\u2060b>", "2: a", "3: c", "4: a"]
    assert [first.name, second.name] == ["before", "after"] and not arcs.showlegend
    assert np.isnan(arcs.x[3::4]).all() and (np.asarray(arcs.x)[1::4] == 0).all()
    scene = figure.layout.scene
    assert (scene.xaxis.title.text, scene.yaxis.title.text) == ("dimension 3", "dimension 7")
    assert scene.xaxis.range == scene.yaxis.range and scene.xaxis.range[1] > np.abs(before).max()


@pytest.mark.parametrize("theme", THEMES)
def test_paths_have_a_line_a_token_and_a_stop_of_the_slider_a_depth(theme: str):
    runs = [torch.randn(4, n, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (3, 5)]
    found = stream_paths.paths(runs)
    tokens = [[f"{i}: <t>" for i in range(3)], [f"{i}: u" for i in range(5)]]
    words = {"depth": "depth", "selected": "selected"}
    figure = paths.figure(found, tokens, ["one", "two"], ["in", "0", "1", "2"], 1, words, theme)
    lines, other, here, there, selected = figure.data
    for part, points in ((lines, found.points[0]), (other, found.points[1]), (selected, found.points[0][:, 1:2])):
        along = np.stack([part.x, part.y, part.z], 1).reshape(-1, 5, 3)
        np.testing.assert_array_equal(along[:, :4], points.numpy().transpose(1, 0, 2))
        assert np.isnan(along[:, 4]).all()  # a gap: no token's end is joined to the next one's beginning
    assert (
        list(lines.customdata[:2]) == ["0: &lt;t&gt;<br>in", "0: &lt;t&gt;<br>0"]
        and selected.name == "selected: 1: &lt;t&gt;"
    )
    assert list(here.text) == [f"{i}: <\u2060t>" for i in range(3)] and here.customdata[0] == "0: &lt;t&gt;"
    steps = figure.layout.sliders[0].steps
    assert len(steps) == 4 and figure.layout.sliders[0].active == 3
    for depth, step in enumerate(steps):
        moved, which = step.args
        assert [figure.data[i] for i in which] == [here, there]
        for run, points in enumerate(found.points):
            at = np.stack([moved[axis][run] for axis in "xyz"], 1)
            np.testing.assert_allclose(at, points[depth].numpy(), rtol=1e-4)
    np.testing.assert_allclose(np.stack([there.x, there.y, there.z], 1), found.points[1][3].numpy(), rtol=1e-4)
    assert figure.layout.scene.xaxis.title.text == f"PC 1 · {found.share[0]:.0%}"
