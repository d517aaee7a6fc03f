"""Figures for a notebook: the record's numbers, masked as masked, tokens by their place, the check in the title, no network."""

from __future__ import annotations

import copy
import dataclasses
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest
import torch
from plotly.io import _renderers

import viz
from model import Trace
from model.errors import OutOfRange, UnknownOption, UnknownSite
from model.measures.registry import TABLE
from model.trace.fidelity import Fidelity
from tests.viz.test_palette import contrast
from viz.base import palette
from viz.base.check_note import note
from viz.plotly_figures import attention, checks, parallel, style
from viz.ui.shared import figure_footer

SITES = ["encoder.0.self", "decoder.1.self", "decoder.0.cross"]
THEMES = ["light", "dark"]


def named(figure, name: str) -> list:
    return [part for part in figure.data if part.name == name]


def told(trace: Trace, **changes: object) -> Trace:
    """The same run with another result of its check."""
    return dataclasses.replace(trace, measured=dataclasses.replace(trace.fidelity(), **changes), plain_logits=None)


@pytest.mark.parametrize("site", SITES)
def test_a_head_shows_the_weights_and_masked_cells_as_masked(trace: Trace, site: str):
    record = trace.record(site)
    for head in range(record.heads):
        figure = viz.plotly_head(trace, site, head)
        allowed = record.allowed().numpy()
        want = np.where(allowed, record.weights(head, dtype=torch.float64).numpy(), np.nan)
        (weights,) = named(figure, "weight")
        np.testing.assert_allclose(np.asarray(weights.z, float), want, rtol=0, atol=6e-8)  # half a unit of float32 at 1
        assert (weights.zmin, weights.zmax) == (0, 1) and weights.showscale
        masked = named(figure, "masked")
        assert bool(masked) == (not allowed.all())
        for part in masked:
            np.testing.assert_array_equal(np.isfinite(np.asarray(part.z, float)), ~allowed)
            assert part.showlegend and part.colorscale[0][1] == style.MASKED["light"]


def test_equal_tokens_do_not_merge_and_hovering_names_both(trace: Trace):
    figure = viz.plotly_head(trace, "encoder.0.self", 1)
    tokens = trace.side("encoder").texts
    assert tokens.count("the") == 2
    hover = np.asarray(figure.data[0].customdata)
    assert hover.shape == (len(tokens), len(tokens)) and len(set(hover.ravel())) == hover.size
    assert hover[4, 0] == "query 4: the<br>key   0: the" and hover[0, 4] == "query 0: the<br>key   4: the"
    assert "%{z" in figure.data[0].hovertemplate and "%{customdata}" in figure.data[0].hovertemplate
    axis = figure.layout.xaxis
    assert list(axis.tickvals) == sorted(set(axis.tickvals)) and axis.tickangle == 0
    assert [axis.ticktext[list(axis.tickvals).index(i)] for i in (0, 4) if i in axis.tickvals] == ["the", "the"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first query is on top


@pytest.mark.parametrize("site", SITES)
def test_a_layer_shows_every_head_on_one_scale(trace: Trace, site: str):
    record, figure = trace.record(site), viz.plotly_layer(trace, site)
    maps = named(figure, "weight")
    assert len(maps) == record.heads == 4
    for head, part in enumerate(maps):
        want = np.where(record.allowed().numpy(), record.weights(head, dtype=torch.float64).numpy(), np.nan)
        np.testing.assert_allclose(np.asarray(part.z, float), want, rtol=0, atol=6e-8)
        assert (part.zmin, part.zmax, part.showscale) == (0, 1, head == 0)
    assert [note.text for note in figure.layout.annotations] == [f"head {h}" for h in range(4)]


@pytest.mark.parametrize("make", [lambda t, s: viz.plotly_head(t, s, 2), viz.plotly_layer])
@pytest.mark.float32
def test_a_long_text_shows_the_strongest_of_blocks_and_says_so(trace: Trace, monkeypatch: pytest.MonkeyPatch, make):
    monkeypatch.setattr(attention, "LARGEST", 3)
    monkeypatch.setattr(attention, "SMALL", 3)
    record = trace.record("decoder.1.self")
    figure = make(trace, "decoder.1.self")
    n = record.queries
    step = -(-n // 3)
    A, allowed = record.weights(2, dtype=torch.float64).numpy(), record.allowed().numpy()
    blocks = [slice(a, a + step) for a in range(0, n, step)]
    want = [[A[i, j].max() if allowed[i, j].any() else np.nan for j in blocks] for i in blocks]
    part = named(figure, "weight")[-2 if len(figure.data) > 2 else 0]  # of four heads the third
    np.testing.assert_allclose(np.asarray(part.z, float), want, rtol=0, atol=2e-6)
    assert np.isnan(want).any() and named(figure, "masked")
    assert f"each cell is the strongest weight of a block of {step} × {step}" in figure.layout.title.subtitle.text
    assert "strongest weight" in part.hovertemplate and f"tokens 0–{step - 1}" in part.customdata[0][0]


@pytest.mark.parametrize("theme", THEMES)
def test_the_title_says_model_site_head_and_check(trace: Trace, theme: str):
    figure = viz.plotly_head(trace, "decoder.0.cross", 3, theme)
    assert figure.layout.title.text == f"{trace.key.model} · decoder 0 · cross-attention · head 3"
    below = figure.layout.title.subtitle.text
    assert "✓" in below and style.FAILS[theme] not in below
    site = "decoder.0.cross"
    off = told(trace, sites=trace.fidelity().sites | {site: 0.5}, relative=trace.fidelity().relative | {site: 9e4})
    for failing in (
        viz.plotly_head(off, site, 3, theme),
        viz.plotly_layer(off, site, theme),
        viz.plotly_measures(off, theme),
    ):
        below = failing.layout.title.subtitle.text
        assert "✗ does not check" in below and "0.500" in below and style.FAILS[theme] in below
    assert "✓" in viz.plotly_head(off, "encoder.0.self", 0, theme).layout.title.subtitle.text
    logits = told(trace, logits_error=3.0)
    assert "✗ does not check: logits 3" in viz.plotly_head(logits, site, 0, theme).layout.title.subtitle.text
    fewer = {name: error for name, error in trace.fidelity().sites.items() if name != site}
    unmeasured = viz.plotly_head(told(trace, sites=fewer), site, 0, theme).layout.title.subtitle.text
    assert "not checked" in unmeasured and "✓" not in unmeasured and "✗" not in unmeasured


def test_a_notebook_says_of_a_run_what_the_app_says(trace: Trace):
    sites = list(trace.fidelity().sites)
    wrong = {sites[1]: 0.25}
    runs = [
        trace,
        told(trace, logits_error=None),
        told(trace, logits_error=7.0),
        told(trace, sites=trace.fidelity().sites | wrong, relative=trace.fidelity().relative | {sites[1]: 40.0}),
        told(trace, compared=dict.fromkeys(sites, "context")),
    ]
    for run in runs:
        for site in run.sites:
            assert checks.site_check(run, site) == figure_footer.site_badge(run, site)
        assert checks.run_check(run) == figure_footer.worst_badge(run, run.sites)
    assert checks.run_check(dataclasses.replace(trace, measured=Fidelity({"x": 0.0}))).text == "not checked"


@pytest.mark.parametrize("theme", THEMES)
def test_measures_are_those_of_the_table_and_what_does_not_apply_passes_below(trace: Trace, theme: str):
    table = trace.statistics()
    (lines,) = viz.plotly_measures(trace, theme).data
    axes = {axis.name: axis for axis in lines.dimensions}
    assert list(axes) == ["site", *(m.column for m in TABLE if not table[m.column].isna().all())]
    assert [axes["site"].ticktext[int(place)] for place in axes["site"].values] == list(table["site"])
    for name, axis in list(axes.items())[1:]:
        values, known = np.asarray(axis.values, float), table[name].notna().to_numpy()
        np.testing.assert_array_equal(values[known], table[name].to_numpy()[known])
        assert axis.range[0] <= values.min() and values.max() <= axis.range[1]
        assert ("∅" in axis.label) == (not known.all())
        if not known.all():
            assert (values[~known] == axis.range[0]).all() and (values[known] > axis.range[0]).all()
    assert lines.line.showscale and lines.line.colorbar.title.text == "layer"
    layers = [int(site.split(".")[1]) for site in table["site"]]
    assert list(lines.line.color) == layers


def test_what_is_kept_passes_through_a_range_of_every_brushed_axis(trace: Trace):
    table = trace.statistics()
    axes = parallel.Axes({m.column: m.name for m in TABLE}, {str(site): str(site) for site in trace.sites})
    sites, entropy, previous = (table[name].to_list() for name in ("site", "entropy", "previous"))
    middle, low, high = sorted(entropy)[len(entropy) // 2], min(entropy), max(entropy)
    every = list(range(len(table)))
    assert parallel.kept(table, axes, {}) == parallel.kept(table, axes, {"entropy": []}) == every
    below = [i for i in every if entropy[i] <= middle]
    assert parallel.kept(table, axes, {"entropy": [(low - 1, middle)]}) == below and 0 < len(below) < len(every)
    both = {"entropy": [(low - 1, middle)], "previous": [(0.0, 1.0)]}
    wanted = [i for i in below if not np.isnan(previous[i])]  # a head without the measure is at the foot, not at 0
    assert parallel.kept(table, axes, both) == wanted and len(wanted) < len(below)
    ends = {"entropy": [(low, low), (high, high)]}
    assert parallel.kept(table, axes, ends) == [i for i in every if entropy[i] in (low, high)]
    assert [sites[i] for i in parallel.kept(table, axes, {"site": [(0.9, 1.1)]})] == [str(trace.sites[1])] * 4


@pytest.mark.parametrize("count, seen", [(6, 6), (27, 27), (30, 15), (96, 24)])
def test_of_many_sub_layers_every_second_or_third_is_named(count: int, seen: int):
    table = pd.DataFrame(
        {"site": [f"decoder.{i}.self" for i in range(count)], "head": 0, "entropy": np.linspace(0, 1, count)}
    )
    axes = parallel.Axes({"entropy": "entropy"}, {site: site for site in table["site"]})
    axis = parallel.lines(table, axes, "light").data[0].dimensions[0]
    assert list(axis.tickvals) == list(range(count)) == list(axis.values)
    named = {place: text for place, text in enumerate(axis.ticktext) if text.strip("\u200b")}
    assert len(named) == seen and all(text == f"decoder.{place}.self" for place, text in named.items())
    assert len(set(axis.ticktext)) == count  # an ordinal axis takes equal texts for one place


@pytest.mark.parametrize("theme", THEMES)
def test_the_scale_begins_at_the_page_and_ends_as_everywhere(trace: Trace, theme: str):
    figure = viz.plotly_head(trace, "encoder.0.self", 0, theme)
    scale = figure.data[0].colorscale
    assert scale[0] == (0, palette.THEMES[theme]["background"]) and scale[-1] == (1, palette.sequential(theme)[-1])
    assert figure.layout.paper_bgcolor == palette.THEMES[theme]["background"]


class Loaded(HTMLParser):
    """What a page fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.found += [str(value) for name, value in attrs if name in ("src", "href", "data", "srcset")]


def test_the_written_page_holds_all_that_it_needs(trace: Trace, tmp_path: Path):
    path = tmp_path / "head.html"
    viz.plotly_head(trace, "encoder.0.self", 0).write_html(path, include_plotlyjs=True)
    page = Loaded()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.scripts >= 2 and page.found == []
    assert path.stat().st_size > 2**20  # plotly.js is inside


SAVED = {
    "translate-encoder.0.self-head1": lambda trace: viz.plotly_head(trace, "encoder.0.self", 1),
    "translate-decoder.1.cross-heads": lambda trace: viz.plotly_layer(trace, "decoder.1.cross"),
    "translate-measures": viz.plotly_measures,
}


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_picture_is_called_by_its_model_and_head_however_it_is_shown(
    trace: Trace, tmp_path: Path, name: str
) -> None:
    named = dataclasses.replace(trace, key=dataclasses.replace(trace.key, model="translate"))
    figure = SAVED[name](named)
    told, page = f'"filename": *"{re.escape(name)}"', tmp_path / "page.html"
    for shown in (figure, copy.deepcopy(figure), type(figure)(figure)):
        shown.write_html(page)
        bundles = displayed(shown)
        assert re.search(told, page.read_text(encoding="utf-8")) and re.search(told, shown.to_html(full_html=False))
        assert re.search(told, shown._repr_html_())
        assert len(bundles) == 3
        for bundle in bundles:
            assert bundle[PLOTLY]["config"]["toImageButtonOptions"]["filename"] == name


PLOTLY = "application/vnd.plotly.v1+json"


def displayed(figure: go.Figure, **how: object) -> list[dict]:
    """What a notebook is handed: by a figure that it asks for its forms, by `show`, by a figure at the end of a cell."""
    handed: list[dict] = []
    with pytest.MonkeyPatch.context() as patch:
        shown = SimpleNamespace(display=lambda bundle, raw: handed.append(bundle))
        for what, value in (("ipython_display", shown), ("nbformat", SimpleNamespace(__version__="5.10.0")),
                            ("display_jupyter_version_warnings", lambda: None)):  # fmt: skip
            patch.setattr(_renderers, what, value, raising=False)
        patch.setattr(pio.renderers, "default", "plotly_mimetype")
        patch.setattr(pio.renderers, "render_on_display", True)
        handed.append(figure._repr_mimebundle_())
        figure.show(**how)
        figure._ipython_display_()
    return handed


def test_what_else_is_asked_for_of_the_button_stays(trace: Trace) -> None:
    figure = viz.plotly_head(trace, "encoder.0.self", 1)
    asked = {"displaylogo": False, "toImageButtonOptions": {"format": "svg"}}
    bundle = displayed(figure, config=asked)[1][PLOTLY]["config"]
    assert bundle["displaylogo"] is False and bundle["toImageButtonOptions"]["format"] == "svg"
    assert "head1" in bundle["toImageButtonOptions"]["filename"]
    assert '"mine"' in figure.to_html({"toImageButtonOptions": {"filename": "mine"}})


def test_markup_in_a_token_stays_text(trace: Trace):
    side = trace.side("encoder")
    texts = ("<b>x</b>", *side.texts[1:])
    odd = dataclasses.replace(trace, sides=dict(trace.sides) | {"encoder": dataclasses.replace(side, shown=texts)})
    figure = viz.plotly_head(odd, "encoder.0.self", 0)
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;x&lt;/b&gt;" and "<b>" not in figure.data[0].customdata[0][0]


def test_what_is_not_there_is_refused(trace: Trace):
    with pytest.raises(OutOfRange):
        viz.plotly_head(trace, "encoder.0.self", 4)
    with pytest.raises(UnknownSite):
        viz.plotly_layer(trace, "encoder.9.self")
    for make in (lambda: viz.plotly_head(trace, "encoder.0.self", 0, "sepia"), lambda: viz.plotly_measures(trace, "sepia"),
                 lambda: viz.plotly_layer(trace, "encoder.0.self", "sepia")):  # fmt: skip
        with pytest.raises(UnknownOption):
            make()
    with pytest.raises(AttributeError):
        _ = viz.plotly_nothing


def test_importing_viz_does_not_import_plotly(root: Path):
    code = "import sys, viz; assert not {'plotly', 'torch'} & set(sys.modules); print(*viz.__all__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["plotly_head", "plotly_layer", "plotly_measures"]


@pytest.mark.parametrize(("theme", "least"), [("light", 3.4), ("dark", 5.5)])
def test_a_line_of_any_layer_is_seen_on_its_page(trace: Trace, theme: str, least: float):
    """A line of one px is smoothed into the page: it needs more contrast than an area does."""
    figure = viz.plotly_measures(trace, theme)
    scale = [colour for _, colour in figure.data[0].line.colorscale]
    assert len(set(scale)) == 9
    assert min(contrast(colour, palette.THEMES[theme]["background"]) for colour in scale) >= least


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_figure_of_a_page_has_its_name_and_check_above_it(trace: Trace, theme: str):
    axes = parallel.Axes({"entropy": "entropy"}, {str(site): str(site) for site in trace.sites})
    bare = parallel.lines(trace.statistics(), axes, theme)
    height, top = bare.layout.height, bare.layout.margin.t
    failed = note("holds", True) + note("off <b>by</b> 2", False)
    shown = style.named(bare, "model <i> · head 3", failed, theme)
    assert shown.layout.title.text == "model &lt;i&gt; · head 3"
    assert style.FAILS[theme] in shown.layout.title.subtitle.text and "&lt;b&gt;" in shown.layout.title.subtitle.text
    assert shown.layout.height - height == shown.layout.margin.t - top == style.NAME


def test_names_of_axes_keep_their_distance_in_chinese_too(trace: Trace):
    """Five characters and the sign for "not applicable" took more than the 70 px from one axis to the next."""
    table = trace.statistics()
    column = next(measure.column for measure in TABLE if table[measure.column].isna().any())
    axes = parallel.Axes({column: "均方根距离", "entropy": "熵"}, {str(site): str(site) for site in trace.sites})
    labels = [axis.label for axis in parallel.lines(table, axes, "light").data[0].dimensions]
    assert labels[1:] == ["均方根距离<br>∅", "熵"]


@pytest.mark.parametrize(
    "low, high", [(0.49, 0.99), (0.55, 2.6), (0.05, 2.6), (1.2, 11.0), (6.0, 10.0), (1e-4, 8.0), (1.0, 3e7)]
)
def test_no_label_of_a_logarithmic_axis_lies_on_its_neighbour(low: float, high: float) -> None:
    from model.training.run_files.curves import Curve
    from viz.plotly_figures import training

    curve = Curve((1, 2), (high, low))
    words = {"step": "s", "guess": "g", "panel_loss": "l", "loss": "l"}
    axis = training.training_figure({"loss": curve}, None, words, "light", "x", "r")["layout"]["yaxis"]
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    if axis["dtick"] == "D2":  # as plotly reads it: 1, 2 and 5 of every decade
        labels = [digit * 10.0**n for n in decades for digit in (1, 2, 5)]
    elif str(axis["dtick"]).startswith("L"):
        labels = list(np.arange(0, high, float(axis["dtick"][1:])))[1:]
    else:
        labels = [10.0**n for n in decades if n % axis["dtick"] == 0]
    shown = np.log10([value for value in labels if low <= value <= high])
    assert len(shown) >= 1
    height = training._HEIGHT / 1.1  # plotly leaves room beyond the ends
    assert (np.diff(shown) * height / np.log10(high / low) > 11).all()  # px of a label
