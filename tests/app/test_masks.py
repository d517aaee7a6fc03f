"""The page Masks: every control moves the numbers of its figures, which are numpy's own softmax under that mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace, open_model
from tests import bounds
from tests.app.acting import pick
from tests.app.visit import Visit
from tests.model.test_mask_views import allowed, softmax
from viz.base import numbers

SITE, HEAD, TEXT = "encoder.1.self", 2, "the cat sat on the mat"
LINK = {"site": SITE, "head": HEAD, "q": 1, "k": 2, "text": TEXT, "tab": "masks.padding"}
N = 6


@pytest.fixture(scope="module")
def trace() -> Trace:
    return open_model("translate").trace(TEXT, language="zh")


def scores(trace: Trace, site: str = SITE) -> np.ndarray:
    record = trace.record(site)
    q, k = (record.head(part, HEAD, torch.float64).numpy() for part in "qk")
    return q @ k.T * record.scale


def weights(s: np.ndarray, cells: np.ndarray) -> np.ndarray:
    return np.array([softmax(np.where(c, row, -np.inf)) for row, c in zip(s, cells, strict=True)])


def check(seen: Visit, s: np.ndarray, cells: np.ndarray) -> Visit:
    """S, M and A, which cells are dead, and the table of the selected row."""
    _, arrays = seen.sound().figure("masks")
    expected = weights(s, cells)
    bounds.close(arrays["S"], s, 64)
    np.testing.assert_allclose(arrays["A"], expected, atol=bounds.WEIGHT)
    np.testing.assert_array_equal(np.isneginf(arrays["M"]), ~cells)
    for name in ("M", "A"):
        np.testing.assert_array_equal(arrays[f"{name}.state"] != 0, ~cells)
    row = seen.view.row
    lost = float(np.where(cells[row], 0, softmax(s[row])).sum())
    table = next(m.value for m in seen.at.markdown if seen.say("masks.lost") in m.value)
    assert f"| {numbers.short(lost, 4)} |" in table
    told = next(line for line in table.splitlines() if seen.say("masks.sum") in line)
    assert float(told.split("|")[2]) == pytest.approx(expected[row].sum(), abs=bounds.WEIGHT)
    if cells[row, seen.view.column]:
        told = [numbers.tex(float(v), 4) for v in (1 - lost, expected[row, seen.view.column]) if v > 1e-3]
        assert all(number in " ".join(latex.value for latex in seen.at.latex) for number in told)
    return seen


def slide(seen: Visit, key: str, value: int) -> Visit:
    next(s for s in seen.at.slider if s.key.startswith(key)).set_value(value)
    seen.at.run()
    return seen


def kind(seen: Visit, name: str) -> Visit:
    return seen.set("masks", name)


def test_padding_by_its_length(visit, trace) -> None:
    seen = check(visit("masks", **LINK), scores(trace), allowed("padding", N, N, 4, 0))
    for real in (1, 6, 0):
        check(slide(seen, "masks-real", real), scores(trace), allowed("padding", N, N, real, 0))


@pytest.mark.parametrize("name", ["none", "causal", "recorded"])
def test_masks_without_a_length(visit, trace, name: str) -> None:
    seen = kind(visit("masks", **LINK), name)
    assert not seen.at.slider
    check(seen, scores(trace), allowed(name, N, N, N, N))


def test_both_and_the_window(visit, trace) -> None:
    seen = check(kind(visit("masks", **LINK), "both"), scores(trace), allowed("both", N, N, 4, 0))
    check(slide(seen, "masks-real", 2), scores(trace), allowed("both", N, N, 2, 0))
    seen = check(kind(seen, "window"), scores(trace), allowed("window", N, N, 0, 2))
    check(slide(seen, "masks-width", 1), scores(trace), allowed("window", N, N, 0, 1))


def test_a_recorded_causal_mask_is_the_recorded_weights(visit, trace) -> None:
    seen = kind(visit("masks", **(LINK | {"site": "decoder.0.self"})), "recorded").sound()
    _, arrays = seen.figure("masks")
    np.testing.assert_allclose(arrays["A"], trace.weights("decoder.0.self", HEAD), atol=bounds.WEIGHT)


def test_clicks_and_pickers(visit, trace) -> None:
    seen = pick(visit("masks", **LINK), "masks", {"row": 3, "column": 4, "matrix": "A"})
    assert (seen.view.row, seen.view.column) == (3, 4)
    seen = check(seen, scores(trace), allowed("padding", N, N, 4, 0)).set("head", 0)
    _, arrays = seen.figure("masks")
    bounds.close(arrays["S"], trace.record(SITE).scores(0), 64)
    seen = pick(seen, "masks-queries", {"row": 2, "column": 9, "matrix": "v"})  # no cell of a query and a key
    assert (seen.view.row, seen.view.column) == (3, 4)


def test_a_mask_on_the_queries(visit, trace) -> None:
    _, arrays = visit("masks", **LINK).sound().figure("masks-queries")
    assert np.isnan(arrays["A"][4:]).all() and np.isnan(arrays["o"][4:]).all()
    np.testing.assert_allclose(arrays["A"][:4], weights(scores(trace), np.ones((N, N), bool))[:4], atol=bounds.WEIGHT)
    assert (arrays["A.state"][4:] != 0).all() and not (arrays["A.state"][:4] != 0).any()


def test_rows_of_padding_are_drawn_wherever_the_window_is(visit, models) -> None:
    seen = visit("masks", model="llama", text="the cat sat on the mat. " * 30, q=100, k=90, tab="masks.padding").sound()
    assert np.isnan(seen.figure("masks-queries")[1]["A"]).any(1).sum() == 2


def test_it_opens_on_the_mask_that_the_model_ran_with(visit, trace) -> None:
    seen = visit("masks", text=TEXT, site="decoder.0.self", head=0, q=2, k=1).sound()
    np.testing.assert_allclose(seen.figure("masks")[1]["A"], trace.weights("decoder.0.self", 0), atol=bounds.WEIGHT)


def test_id_zero(visit, trace) -> None:
    seen = visit("masks", **LINK).set("mistake", "zero").sound()
    _, arrays = seen.figure("masks-zero")
    cells = np.tile([False, True, True, True, False, True], (N, 1))  # both "the" are gone
    np.testing.assert_allclose(arrays["A'"], weights(scores(trace), cells), atol=bounds.WEIGHT)
    np.testing.assert_allclose(arrays["A"], weights(scores(trace), cells | True), atol=bounds.WEIGHT)


def test_a_number_for_infinity(visit, trace) -> None:
    seen = visit("masks", **LINK).set("mistake", "finite").sound()
    table = next(m.value for m in seen.at.markdown if seen.say("masks.fill_dead") in m.value)
    row = torch.tensor(scores(trace)[1])
    assert table.count(seen.say("masks.fill_nan")) == 5  # −∞ in four dtypes, and −10⁹ in float16
    assert seen.say("masks.fill_uniform", weight=f"{1 / N:.3g}") in table
    assert seen.say("masks.fill_open", most=f"{float(row.softmax(-1).max()):.3g}") in table


def test_zeros_after_the_softmax(visit, trace) -> None:
    seen = visit("masks", **LINK).set("mistake", "after").sound()
    _, arrays = seen.figure("masks-after")
    cells = allowed("padding", N, N, 4, 0)
    wrong = np.where(cells, weights(scores(trace), cells | True), 0)
    np.testing.assert_allclose(arrays["A'"], wrong, atol=bounds.WEIGHT)
    said = " ".join(caption.value for caption in seen.at.caption)
    sums = wrong.sum(1)
    assert (
        seen.say("masks.wrong_after_said", here=numbers.short(sums[1], 4), least=numbers.short(sums.min(), 4)) in said
    )


@pytest.mark.parametrize("name", ["llama", "t5", "xlnet", "deberta", "bart", "vit", "bert", "gpt2"])
def test_any_checkpoint(visit, models, name: str) -> None:
    seen = visit("masks", model=name).sound()
    _, arrays = seen.figure("masks")
    for mistake in ("zero", "finite", "after"):
        seen.set("mistake", mistake).sound()
    np.testing.assert_allclose(arrays["A"].sum(1), 1, atol=bounds.WEIGHT)


def test_a_long_text_shows_a_window(visit, models) -> None:
    seen = visit("masks", model="llama", text="the cat sat on the mat. " * 30, q=100, k=90).sound()
    _, arrays = seen.figure("masks")
    assert arrays["A"].shape == (48, 48)
