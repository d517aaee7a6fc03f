"""The page Heads together: its figures are the functions' numbers, and a click in any of them selects what it shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace, open_model
from model.attention import head_contributions
from model.trace.site import Site
from tests import bounds
from tests.app.acting import pick
from tests.app.visit import Visit
from viz.base import numbers

TEXT = "the cat sat on the mat"
LINK = {"site": "encoder.1.self", "head": 2, "q": 1, "k": 2, "text": TEXT}


@pytest.fixture(scope="module")
def trace() -> Trace:
    return open_model("translate").trace(TEXT, language="zh")


def check(seen: Visit, trace: Trace) -> Visit:
    """Every figure shows the selection's numbers."""
    view = seen.sound().view
    site, row = Site.parse(view.site), view.row
    record = trace.record(site)
    header, arrays = seen.figure("together-same")
    every = np.stack([record.weights(head)[row].numpy() for head in range(record.heads)])
    np.testing.assert_allclose(arrays["A_i"], every, atol=bounds.WEIGHT)
    (item,) = header["items"]
    assert (item["highlight_row"], item["highlight_column"]) == (view.head, view.column)
    assert (item["scale"]["low"], item["scale"]["high"]) == (0, 1)
    np.testing.assert_array_equal(
        arrays["A_i.state"] == 1, np.repeat(~record.allowed()[[row]].numpy(), record.heads, 0)
    )
    _, arrays = seen.figure("together-concat")
    context = record.context.numpy()
    bounds.close(arrays["C"], context.transpose(1, 0, 2).reshape(context.shape[1], -1), 64)
    for head in range(record.heads):
        bounds.close(arrays[f"z_{head}"], context[head], 64)
    W = trace.parameter(site, "W_O").reshape(record.heads, -1, 128)
    _, arrays = seen.figure("together-block")
    bounds.close(arrays[f"W_O[{view.head}]"], W[view.head], 64)
    bounds.close(arrays[f"S_{view.head}"], context[view.head] @ W[view.head].numpy(), 64)
    found = head_contributions.contributions(trace, site, row)
    _, arrays = seen.figure("together-sum")
    bounds.close(arrays["S_i"], found.parts, 64)
    bounds.close(arrays["O_i"][0], record.output[row], 64)
    bounds.close(arrays["S_i"].sum(0), arrays["O_i"][0], 128, size=arrays["S_i"])
    _, arrays = seen.figure("together-lengths")
    bounds.close(arrays["|S|"], head_contributions.lengths(trace, site), 64)
    said = " ".join(caption.value for caption in seen.at.caption)
    total = numbers.short(float(found.signed.sum()), 6)
    assert seen.say("together.bars_sentence", total=total, query=row) in said
    return seen


def test_the_figures_are_the_selections(visit, trace) -> None:
    check(visit("together", **LINK), trace)


@pytest.mark.parametrize(
    ("name", "value"), [("head", 0), ("site", "decoder.0.self"), ("pick-row", 4), ("pick-column", 0)]
)
def test_the_pickers(visit, trace, name: str, value: object) -> None:
    seen = visit("together", **LINK).set(name, value)
    field = {"pick-row": "row", "pick-column": "column"}.get(name, name)
    assert getattr(check(seen, trace).view, field) == value


def test_clicks(visit, trace) -> None:
    seen = visit("together", **LINK)
    seen = check(pick(seen, "together-same", {"row": 3, "column": 4, "matrix": "A_i"}), trace)
    assert (seen.view.head, seen.view.row, seen.view.column) == (3, 1, 4)
    seen = check(pick(seen, "together-concat", {"row": 5, "column": 9, "matrix": "C"}), trace)
    assert (seen.view.head, seen.view.row) == (3, 5)
    seen = check(pick(seen, "together-sum", {"row": 1, "column": 9, "matrix": "S_i"}), trace)
    assert (seen.view.head, seen.view.row) == (1, 5)
    seen = check(pick(seen, "together-sum", {"row": 4, "column": 9, "matrix": "S_i"}), trace)  # b_O is no head
    assert (seen.view.head, seen.view.row) == (1, 5)
    seen = check(pick(seen, "together-block", {"row": 2, "column": 0, "matrix": "S_1"}), trace)
    assert (seen.view.head, seen.view.row) == (1, 2)
    seen = check(
        pick(seen, "together-block", {"row": 7, "column": 0, "matrix": "W_O[1]"}), trace
    )  # its rows are no queries
    assert (seen.view.head, seen.view.row) == (1, 2)
    seen = check(pick(seen, "together-lengths", {"row": 0, "column": 3, "matrix": "|S|"}), trace)
    assert (seen.view.head, seen.view.row) == (0, 3)


def test_the_heads_in_numbers(visit, trace) -> None:
    seen = visit("together", **LINK)
    table = next(t.value for t in seen.at.dataframe if seen.say("together.strongest") in t.value)
    rows = torch.stack([trace.weights("encoder.1.self", head)[1] for head in range(4)])
    np.testing.assert_allclose(table[seen.say("matrix.value")], rows.max(-1).values, atol=bounds.WEIGHT)
    tokens = trace.tokens("encoder")
    assert list(table[seen.say("together.strongest")]) == [f"{j}: {tokens[j]}" for j in rows.argmax(-1).tolist()]


@pytest.mark.parametrize("name", ["llama", "t5", "xlnet", "deberta", "bart"])
def test_any_checkpoint(visit, models, name: str) -> None:
    seen = visit("together", model=name).sound()
    assert "together-sum" in seen.figures()
    _, arrays = seen.figure("together-sum")
    bounds.close(arrays["S_i"].sum(0), arrays["O_i"][0], 128, size=arrays["S_i"])


def test_a_long_text_shows_a_window(visit, models) -> None:
    seen = visit("together", model="llama", text="the cat sat on the mat. " * 30, q=100, k=90).sound()
    _, arrays = seen.figure("together-same")
    assert arrays["A_i"].shape[1] == 48
    header, arrays = seen.figure("together-concat")
    assert len(arrays["C"]) == 48 and header["items"][0]["highlight_row"] is not None
