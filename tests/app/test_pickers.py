"""The pages' own controls: site, head, query, key, and how the steps unfold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.measures.notable_heads import notable_heads
from tests import bounds
from viz.base import numbers

TEXT = "the cat sat on the mat"
SITES = [f"{stack}.{layer}.{kind}" for stack in ("encoder", "decoder") for layer in (0, 1)
         for kind in (("self",) if stack == "encoder" else ("self", "cross"))]  # fmt: skip


@pytest.fixture(scope="module")
def trace(translator):
    return translator.trace(TEXT, language="zh")


def test_these_are_the_sites_of_the_shipped_model(trace) -> None:
    assert [str(site) for site in trace.sites] == SITES


@pytest.mark.parametrize("page", ["heads", "steps"])
def test_every_site_can_be_picked(visit, trace, page: str) -> None:
    seen = visit(page, text=TEXT, site=SITES[0], head=1)
    for site in reversed(SITES):
        seen.set("site", site).sound()
        expected = trace.weights(site, 1).numpy()
        if page == "heads":
            exact = trace.record(site).weights(1, dtype=torch.float64).numpy().astype(np.float32)
            np.testing.assert_array_equal(seen.figure("matrix")[1]["values"], exact)
        else:
            np.testing.assert_allclose(seen.figure("step-softmax")[1]["A"], expected, atol=bounds.WEIGHT)
        assert seen.link["site"] == site and seen.view.head == 1


@pytest.mark.parametrize("page", ["heads", "steps"])
def test_every_head_can_be_picked(visit, trace, page: str) -> None:
    seen = visit(page, text=TEXT, site="decoder.1.cross", head=0)
    for head in (3, 2, 1, 0):
        seen.set("head", head).sound()
        key, name = ("matrix", "values") if page == "heads" else ("step-softmax", "A")
        expected = trace.weights("decoder.1.cross", head).numpy()
        np.testing.assert_allclose(seen.figure(key)[1][name], expected, atol=bounds.WEIGHT)
        assert seen.link["head"] == str(head)
        if page == "heads":
            assert seen.figure("lines")[0]["shown"] == [head]


def test_the_selected_cell_stays_with_the_head_where_it_exists(visit) -> None:
    seen = visit("heads", text=TEXT, site="encoder.0.self", head=0, q=5, k=1).set("head", 2)
    assert seen.figure("matrix")[0]["selection"] == {"row": 5, "column": 1}
    seen.set("site", "encoder.1.self")
    assert seen.figure("matrix")[0]["selection"] == {"row": 5, "column": 1}


def test_query_and_key_pickers_move_the_written_out_cell(visit, trace) -> None:
    seen = visit("steps", text=TEXT, site="encoder.0.self", head=1, q=0, k=0)
    before = seen.at.code[0].value
    seen.set("pick-row", 4).sound()
    seen.set("pick-column", 2).sound()
    assert (seen.view.row, seen.view.column) == (4, 2)
    assert (seen.link["q"], seen.link["k"]) == ("4", "2")
    assert seen.at.code[0].value != before
    header, _ = seen.figure("step-softmax")
    result = next(item for item in header["items"] if item.get("result"))
    assert (result["highlight_row"], result["highlight_column"]) == (4, 2)
    query, key = trace.q("encoder.0.self")[1, 4].double(), trace.k("encoder.0.self")[1, 2].double()
    assert f"{float(query @ key):.7f}" in " ".join(caption.value for caption in seen.at.caption)


def test_the_printed_products_sum_to_the_printed_total(visit) -> None:
    seen = visit("steps", text=TEXT)
    sum_ = seen.at.code[0].value.split(" = ", 1)[-1]  # as it is pasted into a calculator
    assert sum_.count("*") == seen.figure("step-q")[1]["W_Q"].shape[1]
    total = eval(sum_, {"__builtins__": {}})
    assert f"{total:.4f}" in seen.at.caption[-1].value or any(f"{total:.4f}" in c.value for c in seen.at.caption)


def test_steps_unfold_one_at_a_time_and_all_at_once(visit) -> None:
    seen = visit("steps", text=TEXT)
    everything = seen.figures()
    seen.set("unfold", "one").sound()
    assert seen.figures() == everything[:1] and seen.link["step"] == "0"
    for count in range(2, len(everything) + 1):
        seen.click("step-next").sound()
        assert seen.figures() == everything[:count]
    assert seen.at.button(key="step-next").disabled
    seen.click("step-back").sound()
    assert seen.figures() == everything[:-1]
    seen.set("unfold", "all").sound()
    assert seen.figures() == everything and "step" not in seen.link


def test_back_is_off_at_the_first_step(visit) -> None:
    assert visit("steps", step=0).at.button(key="step-back").disabled


def test_the_selection_is_the_same_on_every_page(visit) -> None:
    seen = visit("heads", text=TEXT, site="decoder.0.cross", head=2, q=3, k=4)
    line = [m.value for m in seen.at.markdown if "←" in m.value]
    seen.go("steps")
    assert [m.value for m in seen.at.markdown if "←" in m.value] == line and len(line) == 1
    seen.go("heads")
    assert seen.figure("matrix")[0]["selection"] == {"row": 3, "column": 4}


@pytest.mark.parametrize("order", [("heads", "masks", "together", "steps"), ("together", "overview", "masks", "heads")])
def test_the_pickers_of_every_page_show_the_selection(visit, order: tuple[str, ...]) -> None:
    """A control of the same key on another page is another control: what it shows is the selection all the same."""
    seen = visit(order[0], text="the cat sat on the mat", site="encoder.1.self", head=2, q=1, k=2)
    for page in order:
        seen.go(page).sound()
        shown = {box.key: box.value for box in seen.at.selectbox if box.key} | {
            group.key: group.value for group in seen.at.get("button_group") if group.key
        }
        for name, expected in (("site-en", "encoder.1.self"), ("head-en", 2)):
            assert name not in shown or shown[name] == expected, (page, name)


def test_the_heads_that_one_looks_at_first_are_named_and_shown(visit, translator) -> None:
    seen = visit("heads", text="the cat sat on the mat", site="encoder.0.self", head=1, to="zh").sound()
    found = notable_heads(translator.trace("the cat sat on the mat", language="zh"))
    labels = [button.label for button in seen.at.button if (button.key or "").startswith("notable-")]
    assert len(labels) == 3 and labels[0].startswith(seen.say("notable.entropy", value=numbers.short(found[0].value)))
    seen.click("notable-1").sound()
    assert (seen.view.site, seen.view.head) == (str(found[1].site), found[1].head)
    assert seen.at.button(key="notable-1").disabled
