"""The tree and the table hold every family."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

from model.families import CARDS
from tests.viz.conftest import Words
from viz import family_tree


def test_the_tree_names_every_family_and_draws_every_descent(words: Words) -> None:
    root = ET.fromstring(family_tree.tree(CARDS, words))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {card.title for card in CARDS} <= set(texts)
    assert {str(card.year) for card in CARDS} <= set(texts)
    lines = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert len(lines) == sum(len(card.parents) for card in CARDS)


def test_no_box_lies_on_another_and_years_run_down() -> None:
    places = {card.key: family_tree._place(card.key) for card in CARDS}
    for (x0, y0), (x1, y1) in itertools.combinations(places.values(), 2):
        assert abs(x0 - x1) > family_tree._BOX[0] or abs(y0 - y1) > family_tree._BOX[1]
    for one, other in itertools.permutations(CARDS, 2):
        if one.year < other.year:
            assert places[one.key][1] < places[other.key][1]
    assert all(
        family_tree._BOX[0] / 2 + 30 < x < family_tree._WIDTH - family_tree._BOX[0] / 2 for x, _ in places.values()
    )


def test_the_table_has_the_cards_numbers(words: Words) -> None:
    table = family_tree.table(CARDS, words)
    assert list(table["family"]) == [card.title for card in CARDS]
    for name in ("d_model", "d_ff"):
        assert list(table[name]) == [getattr(card, name) for card in CARDS]
    t5 = table[table["family"] == "T5"].iloc[0]
    assert (t5["h"], t5["d_k"], t5["layers"], t5["norm"]) == (12, 64, "12 + 12", "norm_pre_rms")


@pytest.mark.parametrize(
    ("count", "said"), [(109_482_240, "109 M"), (174_604_259_328, "175 B"), (1_315_575_808, "1.32 B")]
)
def test_amounts(count: int, said: str) -> None:
    assert family_tree.amount(count) == said
