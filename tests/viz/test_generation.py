"""The pictures of writing: every number of the search is in the tree, every mass in the bars."""

from __future__ import annotations

import numpy as np
import pytest

from model.checkpoints import own_decoder
from model.generation.beam import search
from tests.model import tiny
from viz.base import numbers, static_chart, svg
from viz.generation import charts as generation_charts
from viz.generation import cost_charts
from viz.ui.generation.beams import tree_table

WORDS = {name: name for name in (*generation_charts.STATUSES, "step", "text", "status", "alt", "between", "chosen", "other",
                                 "probability", "key", "weight", "place", "before", "after", "without", "with", "macs",
                                 "standing", "bytes", "alt_bytes")} | {"rest": "{n} others"}  # fmt: skip


@pytest.fixture
def beams(translator):
    trace = translator.trace(tiny.TEXT, language="zh")
    return search(own_decoder.own_decoder(translator, trace), 3, 1.0, 8)


def data(chart: object) -> list[list[dict]]:
    return list(chart.to_dict()["datasets"].values())


def test_the_tree_has_every_hypothesis_and_its_parent(beams):
    texts = [[f"w{one.token}" for one in step] for step in beams.steps]
    chart = generation_charts.tree(beams, texts, (2, 1), "<s>", WORDS)
    nodes = next(rows for rows in data(chart) if "id" in rows[0])
    lines = next(rows for rows in data(chart) if "place2" in rows[0])
    assert [row["id"] for row in nodes][1:] == [f"{t}-{i}" for t, s in enumerate(beams.steps) for i in range(len(s))]
    for row, (t, i, one) in zip(
        nodes[1:], ((t, i, one) for t, s in enumerate(beams.steps) for i, one in enumerate(s)), strict=True
    ):
        assert (row["step"], row["place"], row["total"], row["status"]) == (t + 1, i, one.total, beams.status(t, i))
        assert row["what"] == "between".join(f"w{token}" for token in beams.tokens(t, i))
    assert len(lines) == len(nodes) - 1
    assert sum(row["way"] for row in nodes) == 4 and sum(row["way"] for row in lines) == 3
    assert static_chart.svg(chart).startswith(b"<svg") and b"w" in static_chart.svg(chart)


def test_the_file_of_the_tree_says_what_the_picture_says(beams):
    texts = [[f"w{one.token}" for one in step] for step in beams.steps]
    table = tree_table(beams, texts, " ", lambda status: f"<{status}>")
    nodes = next(
        rows
        for rows in data(generation_charts.tree(beams, texts, (2, 1), "<s>", WORDS | {"between": " "}))
        if "id" in rows[0]
    )
    assert list(table["text"]) == [row["what"] for row in nodes[1:]]
    assert list(table["status"]) == [f"<{row['status']}>" for row in nodes[1:]]
    assert list(table["total"]) == [row["total"] for row in nodes[1:]]
    assert [row["under"] for row in nodes[1:]] == [numbers.short(row["total"], 5) for row in nodes[1:]]


def test_sums_that_differ_in_the_third_decimal_show_it():
    assert numbers.total(-0.00036) == "−3.6·10⁻⁴" and numbers.tex(-0.00036, numbers.TOTAL).startswith("-3.6")
    assert [numbers.total(value) for value in (-12.3412, -12.3437)] == ["−12.341", "−12.344"]
    assert numbers.total(float("-inf")) == "−∞"


def test_the_formula_is_the_sum_and_the_quotient():
    formula = generation_charts.score_formula([-0.5, -0.25, -1.25], -2.0, 1.0, -2 / 3)
    assert r"-0.500 - 0.250 - 1.25 = -2" in formula and r"\frac{-2}{3} = -0.66667" in formula
    assert "score" not in generation_charts.score_formula([-0.5], -0.5, 1.0, None)
    assert r"\cdots" in generation_charts.score_formula([-1.0] * 12, -12.0, 0.5, -12 / 12**0.5)


def test_many_keys_leave_no_weight_out():
    weights = np.random.default_rng(0).dirichlet(np.ones(100))
    chart = generation_charts.key_bars([f"t{i}" for i in range(100)], weights, WORDS, most=20)
    (rows,) = data(chart)
    assert len(rows) == 21 and sum(row["weight"] for row in rows) == pytest.approx(1)
    kept = [int(row["key"].split(":")[0]) for row in rows[:-1]]
    assert kept == sorted(np.argsort(-weights)[:20])


def test_hundreds_of_keys_are_one_line():
    weights = np.random.default_rng(0).dirichlet(np.ones(900))
    chart = generation_charts.key_bars([f"t{i}" for i in range(900)], weights, WORDS)
    (rows,) = data(chart)
    np.testing.assert_allclose([row["weight"] for row in rows], weights)
    assert chart.to_dict()["encoding"]["y"]["scale"]["domain"] == [0, weights.max()]


def test_a_cut_marks_what_is_gone():
    before, after = np.array([0.5, 0.3, 0.1]), np.array([0.625, 0.375, 0.0])
    for logarithmic in (False, True):
        chart = cost_charts.cut_bars(["a", "b", "c"], before, after, ("rest", 0.1, 0.0), WORDS, logarithmic)
        rows = [row for rows in data(chart) for row in rows]
        assert [row["token"] for row in rows if row["kind"] == "before"] == ["1. a", "2. b", "3. c ✕", "rest"]
        drawn = [row["p"] for row in rows if row["kind"] == "after"]
        assert drawn == [0.625, 0.375] + ([] if logarithmic else [0.0, 0.0])
        assert svg.png(static_chart.svg(chart).decode()).startswith(b"\x89PNG")


def test_the_chosen_candidate_is_marked():
    chart = generation_charts.candidates(["a", "b"], [0.7, 0.2], 1, WORDS)
    assert [row["kind"] for row in data(chart)[0]] == ["other", "chosen"]
    both = generation_charts.stack([chart, generation_charts.key_bars(["a"], np.ones(1), WORDS)])
    assert static_chart.svg(both).startswith(b"<svg")


def test_the_cost_has_two_lines():
    chart = cost_charts.cost_lines([(3, 10, 10, 8), (4, 14, 4, 9)], WORDS)
    found = {(row["step"], row["kind"]): row["macs"] for row in data(chart)[0]}
    assert found == {(1, "without"): 10, (1, "with"): 10, (2, "without"): 14, (2, "with"): 4}
    assert [row["bytes"] for row in data(cost_charts.byte_line([(3, 10, 10, 8), (4, 14, 4, 9)], WORDS))[0]] == [
        8,
        9,
    ]
