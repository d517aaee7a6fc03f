"""Comparisons of heads against sums over their whole weights in NumPy, float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.compare import aligned_runs
from model.compare import heads as compare_heads
from model.compare.heads import aligned
from model.errors import HeadlightError, Stopped, UnknownOption
from model.jobs.progress import ProgressListener, report_to
from tests import bounds
from tests.model.test_statistics import KINDS, weights

pytestmark = pytest.mark.float32


def js(a: np.ndarray, b: np.ndarray) -> float:
    m = (a + b) / 2
    parts = [0.5 * sum(x * math.log(x / y) for x, y in zip(p, m, strict=True) if x > 0) for p in (a, b)]
    return math.fsum(parts)


@pytest.mark.parametrize("kind", KINDS)
def test_two_heads(kind: str, monkeypatch) -> None:
    monkeypatch.setattr("model.attention.rows.CELLS", 100)  # several blocks
    record = KINDS[kind](23)
    A, B = weights(record, 0), weights(record, 2)
    found = compare_heads.compared(record, 0, record, 2)
    rows = [js(a, b) for a, b in zip(A, B, strict=True)]
    np.testing.assert_allclose(found.rows, rows, atol=1e-12)
    assert found.mean == pytest.approx(np.mean(rows), abs=1e-12)
    open_ = record.allowed().numpy()
    assert found.correlation == pytest.approx(np.corrcoef(A[open_], B[open_])[0, 1], abs=1e-9, nan_ok=True)
    size, i, j = found.largest
    assert size == pytest.approx(abs(B - A).max(), abs=1e-12) and abs(B[i, j] - A[i, j]) == pytest.approx(
        size, abs=1e-12
    )


def test_a_head_is_like_itself_and_unlike_one_that_shares_no_key() -> None:
    a, b = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).double(), torch.tensor([[0.0, 1.0], [0.5, 0.5]]).double()
    np.testing.assert_allclose(compare_heads.jensen_shannon(a, b), [math.log(2), 0], atol=1e-15)


def test_heads_of_other_tokens_are_not_compared(translator) -> None:
    trace = translator.trace("I like cats", language="zh")
    with pytest.raises(HeadlightError, match="other tokens"):
        compare_heads.compared(trace.record("encoder.0.self"), 0, trace.record("decoder.0.cross"), 0)


def test_all_pairs_are_every_pair(translator, monkeypatch) -> None:
    monkeypatch.setattr(compare_heads, "CELLS", 60)
    trace = translator.trace("she gave him a red apple", language="fr")
    for how in compare_heads.HOW:
        groups = compare_heads.all_pairs(trace, how)
        assert sorted(len(group.heads) for group in groups) == [8, 8, 8]
        for group in groups:
            every = [trace.record(site).weights(head, dtype=torch.float64).numpy() for site, head in group.heads]
            open_ = trace.record(group.heads[0][0]).allowed().numpy()
            for i, A in enumerate(every):
                for j, B in enumerate(every):
                    want = (
                        np.mean([js(a, b) for a, b in zip(A, B, strict=True)])
                        if how == "divergence"
                        else np.corrcoef(A[open_], B[open_])[0, 1]
                    )
                    assert group.values[i, j].item() == pytest.approx(want, abs=1e-9)
            distance = group.distance
            assert (
                torch.allclose(distance, distance.T, atol=1e-12)
                and distance.diagonal().eq(0).all()
                and distance.max() <= 1
            )
    with pytest.raises(UnknownOption):
        compare_heads.all_pairs(trace, "colour")
    with pytest.raises(Stopped), report_to(ProgressListener(lambda what, fraction: None, lambda: True)):
        compare_heads.all_pairs(trace)


def linkage(D: np.ndarray) -> list[float]:
    """Heights of average linkage from its definition: the mean distance over all pairs of two clusters."""
    clusters, heights = [[i] for i in range(len(D))], []
    while len(clusters) > 1:
        pairs = [
            (D[np.ix_(a, b)].mean(), x, y) for x, a in enumerate(clusters) for y, b in enumerate(clusters) if x < y
        ]
        height, x, y = min(pairs)
        heights.append(height)
        clusters[x] = clusters[x] + clusters.pop(y)
    return heights


@pytest.mark.parametrize("n", [1, 2, 7, 15])
def test_clustering_is_average_linkage(n: int) -> None:
    points = np.random.default_rng(n).random((n, 3))
    D = np.linalg.norm(points[:, None] - points, axis=-1)
    order, merges = compare_heads.clustered(torch.tensor(D))
    assert sorted(order) == list(range(n))
    np.testing.assert_allclose([height for *_, height in merges], linkage(D), atol=1e-12)


def test_two_clusters_stand_together() -> None:
    points = torch.tensor([0.0, 10.0, 0.1, 10.2, 0.3])[:, None].double()
    order, _ = compare_heads.clustered((points - points.T).abs())
    assert {tuple(sorted(order[:3])), tuple(sorted(order[2:]))} & {(0, 2, 4)}


def test_the_plane_keeps_distances_of_a_plane() -> None:
    points = torch.tensor(np.random.default_rng(1).random((9, 2)))
    D = torch.cdist(points, points)
    places, share = compare_heads.classical_scaling(D)
    np.testing.assert_allclose(torch.cdist(places, places), D, atol=1e-7)
    assert share == pytest.approx(1, abs=1e-9)
    assert compare_heads.classical_scaling(torch.zeros(3, 3))[1] == 1.0


def test_tokens_are_aligned_and_nothing_is_guessed() -> None:
    first, second = (
        ["it", "was", "too", "tired", "to", "walk", "."],
        ["it", "was", "too", "wide", "and", "deep", "to", "walk", "."],
    )
    found = compare_heads.aligned(first, second)
    assert found.pairs == ((0, 0), (1, 1), (2, 2), (4, 6), (5, 7), (6, 8))
    assert not found.changed and found.only_first == (3,) and found.only_second == (3, 4, 5)
    swapped = compare_heads.aligned(["the", "cat", "sat"], ["the", "dog", "sat"])
    assert swapped.changed == ((1, 1),) and swapped.pairs == ((0, 0), (2, 2))
    assert compare_heads.aligned([], ["a"]).only_second == (0,)


def test_every_token_of_two_texts_stands_once() -> None:
    one, other = (
        ["the", "bank", "paid", "good", "interest", "today"],
        ["a", "the", "bank", "by", "the", "river", "today", "."],
    )
    side = aligned(one, other)
    slots = aligned_runs.merged(side)
    assert [i for i, _ in slots if i is not None] == list(range(6))
    assert [j for _, j in slots if j is not None] == list(range(8))
    both = {(i, j) for i, j in slots if i is not None and j is not None}
    assert both == {*side.pairs, *side.changed} and len(slots) == 6 + 8 - len(both)
    assert aligned_runs.merged(aligned(one, one)) == tuple((i, i) for i in range(6))


def test_keys_that_one_text_lacks_count_as_nothing_there(translator, monkeypatch) -> None:
    """As NumPy computes it over the union of both texts' tokens; every head is ranked by that."""
    monkeypatch.setattr(aligned_runs, "CELLS", 30)
    one, other = (translator.trace(text, language="zh") for text in ("I like big red cats", "I like cats and dogs"))
    sides = aligned_runs.aligned_sides(one, other)
    slots = aligned_runs.merged(sides["encoder"])
    assert [i for i, _ in slots].count(None) == 2 and [j for _, j in slots].count(None) == 2
    found = {}
    for site in map(str, one.sites):
        if not site.startswith("encoder"):
            continue
        for head in range(one.record(site).heads):
            A, B = (run.weights(site, head).double().numpy() for run in (one, other))
            rows = [(i, j) for i, j in slots if None not in (i, j)]
            a = np.array([[0 if k is None else A[i, k] for k, _ in slots] for i, _ in rows])
            b = np.array([[0 if k is None else B[j, k] for _, k in slots] for _, j in rows])
            told = aligned_runs.pair(one.record(site), head, other.record(site), head, slots, slots)
            have = ~np.isnan(told.rows.numpy())
            assert have.tolist() == [None not in slot for slot in slots]
            bounds.close(told.rows.numpy()[have], [js(x, y) for x, y in zip(a, b, strict=True)], 64, size=1.0)
            _, j, before, after = told.changed[0]
            assert aligned_runs.size(before, after) == pytest.approx(np.abs(b - a).max(), abs=bounds.WEIGHT)
            assert (np.isnan(before), np.isnan(after)) == tuple(place is None for place in slots[j])
            shared = [k for k, slot in enumerate(slots) if None not in slot]
            lost = max(1 - a[:, shared].sum(1).min(), 1 - b[:, shared].sum(1).min())
            assert told.outside == pytest.approx(lost, abs=bounds.WEIGHT) and told.outside > 0
            found[site, head] = told.mean
    ranked = aligned_runs.ranked_changes(one, other, {"encoder": sides["encoder"]})
    assert {(str(each.site), each.head): each.mean for each in ranked} == found
    assert [each.mean for each in ranked] == sorted(found.values(), reverse=True)
