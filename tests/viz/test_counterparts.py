"""The maps of two checkpoints: a head that moved says where to, one without a counterpart has no colour."""

from __future__ import annotations

import math

import pytest

from model.compare.checkpoints import Counterpart, Counterparts
from model.trace.site import Site
from tests.viz.test_palette import contrast
from viz.base import palette
from viz.compare import checkpoints as pictures
from viz.ui.language import catalogue

SITE, NAN = Site.parse("encoder.0.self"), math.nan
HEADS = (
    Counterpart(SITE, 0, (SITE, 0), "", (SITE, 0), 0.9, 0.05, 0.9, 0.05),
    Counterpart(SITE, 1, (Site.parse("encoder.1.self"), 3), "", (Site.parse("encoder.1.self"), 3), 0.8, 0.1, -0.2, 0.6),
    Counterpart(SITE, 2, None, "weak", (SITE, 0), 0.3, NAN, 0.1, 0.5),
)
FOUND = Counterparts(HEADS, (), True, {})
WORDS = dict.fromkeys(("layer", "head", "other", "alt", "match", "place", "correlation", "divergence"), "x")


@pytest.mark.parametrize(
    ("how", "where", "values", "texts"),
    [
        ("correlation", "match", [0.9, 0.8, None], ["0.90", "→1.3", "–"]),
        ("correlation", "place", [0.9, -0.2, 0.1], ["0.90", "−0.20", "0.10"]),
        ("divergence", "match", [0.05, 0.1, None], ["0.05", "→1.3", "–"]),
        ("divergence", "place", [0.05, 0.6, 0.5], ["0.05", "0.60", "0.50"]),
    ],
)
def test_what_a_map_shows(how: str, where: str, values: list, texts: list[str]) -> None:
    chart = pictures.heads_map(FOUND, how, where, {"encoder.0.self": "0"}, (str(SITE), 1), WORDS)
    cells = chart.layer[0].data if chart.layer[0].data is not pictures.alt.Undefined else chart.data
    told = [None if math.isnan(value) else value for value in cells["value"].astype(float)]
    assert told == values and list(cells["text"]) == texts
    scale = chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [0, 2 if how == "correlation" else pytest.approx(math.log(2), abs=1e-6)]
    change = [None if value is None else 1 - value if how == "correlation" else value for value in values]
    assert [None if math.isnan(each) else each for each in cells["change"].astype(float)] == change
    # r = 0.98 is a tenth of the way from equal to opposite, where the page's colour cannot be mistaken for it.
    assert scale["type"] == "sqrt" and (0.02 / scale["domain"][1]) ** 0.5 >= 0.1
    assert list(chart.layer[-1].data["id"]) == ["encoder.0.self.1"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("how", pictures.HOW)
def test_unlike_has_the_colours_of_a_difference_and_numbers_that_can_be_read(how: str, theme: str) -> None:
    """Those of weights mean much where they are dark; the legend of the page says what a strong colour is here."""
    chart = pictures.heads_map(FOUND, how, "place", {"encoder.0.self": "0"}, None, WORDS, theme)
    colours = chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["range"]
    table = palette.diverging(theme)
    assert colours[0] == palette.THEMES[theme]["background"] and colours[-1] == table[-1]
    assert not set(colours[1:]) & set(palette.sequential(theme))
    most = 2 if how == "correlation" else math.log(2)
    for cell in (pictures._cell(row, how, "place", {"encoder.0.self": "0"}, True, theme) for row in HEADS):
        place = (cell["change"] / most) ** 0.5 * (len(colours) - 1)
        near = colours[math.floor(place)], colours[math.ceil(place)]
        assert min(contrast(colour, palette.THEMES[theme][cell["ink"]]) for colour in near) >= 3.9


def test_the_legends_say_what_a_strong_colour_is() -> None:
    for words in (catalogue("en"), catalogue("zh")):
        for key in ("comparing.unlike_correlation", "comparing.legend_divergence"):
            assert words[key].startswith(("stronger colour: less alike", "颜色越强越不像"))


def test_the_most_changed_head_is_first() -> None:
    assert [row.head for row in FOUND.by_change] == [1, 2, 0]  # r with the same place: -0.2, 0.1, 0.9
    assert [row.head for row in Counterparts(HEADS, (), False, {}).by_change] == [2, 1, 0]  # r with the most alike one
    none = Counterpart(SITE, 3, None, "same", None, NAN, NAN, NAN, NAN)
    assert Counterparts((none, *HEADS), (), True, {}).by_change[-1] is none


def test_the_table_has_every_head_and_no_number_where_there_is_none() -> None:
    table = pictures.frame(FOUND.heads)
    assert list(table["moved"]) == [False, True, False] and list(table["why"]) == ["", "", "weak"]
    assert table["divergence"].isna().tolist() == [False, False, True] and table["nearest"][2] == "encoder.0.self.0"
    assert table["other_head"].tolist()[:2] == [0, 3] and table["other_head"].isna()[2]
