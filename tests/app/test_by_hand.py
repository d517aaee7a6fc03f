"""The by-hand page: the worked example's numbers, and every number follows when one is edited."""

from __future__ import annotations

import numpy as np
import pytest

from model.steps import worked_example
from tests import bounds
from tests.app.visit import Visit

INPUTS = {"edit-x": "x", "edit-w_query": "w_query", "edit-w_key": "w_key", "edit-w_value": "w_value"}
WAYS = ("unscaled", "scaled", "rounded")


def edit(seen: Visit, name: str, row: int, column: int, value: object) -> Visit:
    """Type `value` into a cell of the editor whose key starts with `name`."""
    (key,) = [editor.key for editor in seen.at.data_editor if editor.key.startswith(name)]
    seen.at.session_state[key] = {"edited_rows": {row: {str(column): value}}, "added_rows": [], "deleted_rows": []}
    seen.at.run()
    return seen


def shown(seen: Visit) -> dict[str, np.ndarray]:
    """The matrices on the page by the names that `HandSized` gives them."""
    found = {"query": seen.figure("hand-q")[1]["q"], "scores": seen.figure("hand-scores")[1]["S"]}
    for way in WAYS:
        arrays = seen.figure(f"hand-{way}")[1]
        found |= {f"weights_{way}": arrays["A"], f"output_{way}": arrays["o"]}
    return found


def agrees(seen: Visit, **changes: np.ndarray) -> None:
    inputs = {name: worked_example.fixture()[name] for name in INPUTS.values()} | changes
    result = worked_example.attention_by_hand(**inputs)
    for name, values in shown(seen).items():
        bounds.close(values, getattr(result, name), 64, what=name)


def test_the_page_opens_on_the_worked_example(visit) -> None:
    seen = visit("by_hand").sound()
    agrees(seen)
    fixture = worked_example.fixture()
    told = ("weights_unscaled", "weights_scaled_by_sqrt_3", "weights_rounded_for_reading")
    for way, name in zip(WAYS, told, strict=True):
        np.testing.assert_allclose(shown(seen)[f"weights_{way}"], fixture[name], atol=bounds.WEIGHT)


@pytest.mark.parametrize(("editor", "name"), INPUTS.items())
def test_every_editor_moves_every_number_after_it(visit, editor: str, name: str) -> None:
    seen = edit(visit("by_hand"), editor, 0, 1, 2.5).sound()
    changed = worked_example.fixture()[name].copy()
    changed[0, 1] = 2.5
    agrees(seen, **{name: changed})


def test_the_reset_brings_the_worked_example_back(visit) -> None:
    seen = edit(visit("by_hand"), "edit-x", 0, 0, -3).click("by-hand-reset").sound()
    agrees(seen)


@pytest.mark.parametrize("value", [None, 1e9])
def test_a_bad_cell_is_explained_and_the_numbers_stay(visit, value: object) -> None:
    seen = edit(visit("by_hand"), "edit-w_key", 1, 0, value)
    assert "W_K" in seen.complaint()
    agrees(seen)


def test_edits_stay_when_one_leaves_the_page_and_comes_back(visit) -> None:
    seen = edit(visit("by_hand"), "edit-x", 0, 1, 2.5)
    seen.go("heads").go("by_hand").sound()
    changed = worked_example.fixture()["x"].copy()
    changed[0, 1] = 2.5
    agrees(seen, x=changed)


def test_edits_stay_when_the_language_changes(visit) -> None:
    seen = edit(visit("by_hand"), "edit-x", 0, 1, 2.5).set("ui_language", "zh").sound()
    changed = worked_example.fixture()["x"].copy()
    changed[0, 1] = 2.5
    agrees(seen, x=changed)


def test_query_and_key_move_the_hairlines_and_the_formula(visit) -> None:
    seen = visit("by_hand").set("hand-row", 2).set("hand-column", 0).sound()
    header, arrays = seen.figure("hand-scores")
    result = next(item for item in header["items"] if item.get("result"))
    assert (result["highlight_row"], result["highlight_column"]) == (2, 0)
    formula = next(latex.value for latex in seen.at.latex if "S_{2,0}" in latex.value)
    assert formula.strip("$ \n").endswith(f"= {arrays['S'][2, 0]:g}")


def test_a_link_carries_the_edited_inputs(visit) -> None:
    first = edit(visit("by_hand"), "edit-x", 1, 1, 7)
    again = Visit("by_hand", **first.link).sound()
    assert again.figure("hand-q")[1]["X"][1, 1] == 7
    assert "hand" not in first.click("by-hand-reset").link


def test_a_broken_link_shows_the_worked_example(visit) -> None:
    assert visit("by_hand", hand="1,2|x").sound().figure("hand-q")[1]["X"][1, 1] == 2
