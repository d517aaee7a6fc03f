"""The heads that one looks at first, against every head's whole weights in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import Trace, open_model
from model.measures import notable_heads as notable
from model.trace.site import Site
from tests.model import tiny


def defined(trace: Trace) -> tuple[dict[tuple[Site, int], float], dict[tuple[Site, int], float]]:
    """Mean entropy and share on the token before of every head that has three rows with a choice, in float64."""
    entropy, previous = {}, {}
    for site, record in trace.attention.items():
        n = record.queries
        keys = range(1, n + 1) if site.home == "decoder" and site.kind == "self" else [record.keys] * n
        if sum(k > 1 for k in keys) < 3:
            continue
        for head in range(record.heads):
            a = record.weights(head, dtype=torch.float64).numpy()
            entropy[site, head] = -(a * np.log(np.where(a > 0, a, 1))).sum(1).mean()
            if site.kind == "self":
                previous[site, head] = np.diag(a, -1).mean()
    return entropy, previous


def test_they_are_the_first_of_all_by_the_definition(translator) -> None:
    trace = translator.trace("the cat sat on the mat", language="zh")
    entropy, previous = defined(trace)
    sharp, before = notable.notable_heads(trace)
    assert (sharp.measure, before.measure) == ("entropy", "previous")
    assert sharp.value == pytest.approx(min(entropy.values()), rel=1e-5) == entropy[sharp.site, sharp.head]
    assert before.value == pytest.approx(max(previous.values()), rel=1e-5) == previous[before.site, before.head]


def test_rows_without_a_choice_are_not_ranked(translator) -> None:
    """Of a text of one word the decoder's self-attention has a row with one key and one with two."""
    trace = translator.trace("the cat sat on the mat", "chats", language="fr")
    entropy, _ = defined(trace)
    assert {site.query_side for site, _ in entropy} == {"encoder"}
    sharp = notable.notable_heads(trace)[0]
    assert sharp.value == pytest.approx(min(entropy.values()), rel=1e-5) == entropy[sharp.site, sharp.head]
    short = translator.trace("cats", "chats", language="fr")
    assert defined(short) == ({}, {}) and notable.notable_heads(short) == ()


def test_a_small_share_on_the_token_before_is_no_habit(tiny_model) -> None:
    """Of random weights some head is first; over some twenty tokens its share is near that of all the others."""
    trace = tiny_model.trace(" ".join([tiny.TEXT] * 4), " ".join([tiny.WRITTEN] * 4))
    largest = max(defined(trace)[1].values())
    told = {each.measure: each.value for each in notable.notable_heads(trace)}
    assert largest < 0.25 and set(told) == {"entropy"}, largest


def test_a_long_run_is_not_asked(translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notable, "MOST", 100)
    assert notable.notable_heads(translator.trace("the cat sat on the mat")) == ()


def test_the_head_that_aligns_best_here_is_the_one_of_most_right_rows(translator) -> None:
    from model.measures.cross_alignment import gold

    trace = translator.trace("the cat sat on the mat")
    rows = gold(trace).rows
    counted = [t for t, row in enumerate(rows) if row]
    shares = {
        (site, head): np.mean([int(record.weights(head, dtype=torch.float64)[t].argmax()) in rows[t] for t in counted])
        for site, record in trace.attention.items()
        if site.kind == "cross"
        for head in range(record.heads)
    }
    found = notable.best_aligned(trace)
    assert found.value == pytest.approx(max(shares.values())) == shares[found.site, found.head]


def test_what_has_no_gold_alignment_has_no_head_that_aligns_best() -> None:
    assert notable.best_aligned(open_model("induction").trace("abcabc")) is None
