"""The lines of a head against its whole float64 softmax, sorted row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.attention.top_weights import Rule, lines_of_rule, strong_lines
from model.errors import Stopped, UnknownOption
from model.jobs.progress import ProgressListener, report_to
from model.transformer.masks import RuleMask
from tests.model.test_downsample import MORE, record, weights

pytestmark = pytest.mark.float32

RULES = [Rule("share", 0.5), Rule("share", 0.9), Rule("share", 1.0), Rule("least", 0.02), Rule("least", 0.3)]


def by_hand(whole: np.ndarray, rule: Rule) -> set[tuple[int, int]]:
    found = set()
    for i, line in enumerate(whole):
        held = 0.0
        for j in sorted(range(len(line)), key=lambda j: (-line[j], j)):
            if line[j] <= 0 or (rule.kind == "least" and line[j] < rule.value):
                break
            if rule.kind == "share" and held >= (rule.value - 1e-12) * line.sum():
                break
            found.add((i, j))
            held += line[j]
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind} {rule.value}")
@pytest.mark.parametrize("kind", MORE)
def test_lines_are_what_the_rule_asks_for(kind: str, rule: Rule, monkeypatch):
    monkeypatch.setattr("model.attention.rows.CELLS", 400)
    torch.manual_seed(3)
    found = MORE[kind](37, 45)
    whole = weights(found, 2)
    got = strong_lines(found, 2, rule, most=10**9)
    pairs = set(zip(got.rows.tolist(), got.columns.tolist(), strict=True))
    near = {(i, j) for i, j in pairs ^ by_hand(whole, rule)}
    assert len(near) <= 1, near  # only a sum that meets its share to the last digit
    np.testing.assert_allclose(got.weights, whole[got.rows, got.columns], atol=1e-12, rtol=0)
    assert (np.diff(got.weights) <= 0).all() and got.asked == len(pairs)
    assert got.cells == int(found.allowed().sum())
    assert got.held == pytest.approx(sum(whole[i, j] for i, j in pairs), abs=1e-9)
    assert got.mass == pytest.approx(whole.sum(), abs=1e-9)


def test_a_share_of_each_row_is_held():
    found = record(200, 200, RuleMask(causal=True))
    got = strong_lines(found, 0, Rule("share", 0.8), most=10**9)
    held = np.bincount(got.rows, got.weights, 200)
    fewer = held - np.array([got.weights[got.rows == i].min() for i in range(200)])
    assert (held >= 0.8 - 1e-12).all() and (fewer < 0.8).all()


def test_only_the_strongest_are_listed_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr("model.attention.rows.CELLS", 1000)
    found = record(120, 90)
    whole, rule = weights(found, 1), Rule("share", 0.95)
    everything, some = (strong_lines(found, 1, rule, most=most) for most in (10**9, 150))
    assert len(some.weights) == 150 and some.asked == everything.asked == len(everything.weights) > 1000
    np.testing.assert_allclose(some.weights, everything.weights[:150], atol=0)
    assert some.held == pytest.approx(everything.weights[:150].sum()) and some.mass == pytest.approx(whole.sum())
    assert len(strong_lines(found, 1, rule, most=0).weights) == 0


def test_a_window_has_the_lines_that_lie_in_it():
    found = record(80, 80, RuleMask(causal=True))
    rule, rows, columns = Rule("share", 0.7), slice(30, 55), slice(20, 50)
    everything = strong_lines(found, 3, rule, most=10**9)
    part = strong_lines(found, 3, rule, 10**9, rows, columns)
    pairs = [(i, j) for i, j in zip(everything.rows, everything.columns, strict=True) if 30 <= i < 55 and 20 <= j < 50]
    assert list(zip(part.rows, part.columns, strict=True)) == pairs and part.mass == pytest.approx(25)
    assert part.cells == int(found.allowed(rows, columns).sum()) and part.asked == len(pairs)
    outside = strong_lines(found, 3, rule, 10**9, slice(0, 10), slice(60, 80))
    assert (outside.asked, outside.cells, len(outside.rows)) == (0, 0, 0)


def test_equal_weights_are_taken_from_the_left():
    even = np.full((2, 10), 0.1)
    kept = lines_of_rule(even, Rule("share", 0.5))
    assert kept.tolist() == [[True] * 5 + [False] * 5] * 2
    assert not lines_of_rule(np.zeros((1, 4)), Rule("share", 0.9)).any()
    assert not lines_of_rule(np.zeros((1, 4)), Rule("least", 0.0)).any()


def test_finding_lines_can_be_stopped_and_other_rules_are_refused():
    with report_to(ProgressListener(lambda what, done: None, lambda: True)), pytest.raises(Stopped):
        strong_lines(record(9, 9), 0, Rule("share", 0.9))
    with pytest.raises(UnknownOption):
        Rule("few", 3.0)
