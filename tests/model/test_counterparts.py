"""Heads of two checkpoints: a permutation is found, every number is NumPy's, and what has no counterpart is said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model import open_model
from model.compare import aligned_runs
from model.compare import checkpoints as compare_checkpoints
from model.errors import HeadlightError, Stopped
from model.jobs.progress import ProgressListener, report_to
from tests import bounds
from tests.model import tiny
from tests.model.test_comparing import js

pytestmark = pytest.mark.float32

ORDER = [2, 0, 3, 1]  # head i of the turned layer is head ORDER[i] of the first


def trace_of(folder: Path, text: str = tiny.TEXT):
    return open_model(str(folder)).trace(text, tiny.WRITTEN, language="zh")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_checkpoint(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def first(base: Path):
    return trace_of(base)


@pytest.fixture(scope="module")
def another(base: Path):
    """Another seed: nothing says where its heads went."""
    return trace_of(tiny.write_checkpoint(base.parent / "another", seed=5))


def turned(base: Path) -> Path:
    """The same function with the heads of one layer in another order."""
    folder = Path(shutil.copytree(base, base.parent / "turned", dirs_exist_ok=True))
    weights, name = load_file(base / "weights.safetensors"), "encoder.1.self_attention.W_"

    def turn(x: torch.Tensor, axis: int) -> torch.Tensor:
        return x.unflatten(axis, (4, -1)).index_select(axis, torch.tensor(ORDER)).flatten(axis, axis + 1).contiguous()

    for letter in "QKV":
        for part in ("weight", "bias"):
            weights[f"{name}{letter}.{part}"] = turn(weights[f"{name}{letter}.{part}"], 0)
    weights[f"{name}O.weight"] = turn(weights[f"{name}O.weight"], 1)
    save_file(weights, folder / "weights.safetensors")
    return folder


def test_turned_heads_are_found(base: Path, first) -> None:
    found = compare_checkpoints.counterparts(first, trace_of(turned(base)))
    assert found.same_shape and not found.alone and len(found.heads) == 24
    for row in found.heads:
        in_layer = str(row.site) == "encoder.1.self"
        want = ORDER.index(row.head) if in_layer else row.head
        assert (str(row.other[0]), row.other[1]) == (str(row.site), want) and row.moved == (want != row.head)
        assert row.r == pytest.approx(1, abs=bounds.WEIGHT) and row.divergence == pytest.approx(0, abs=bounds.WEIGHT)
        if row.moved:
            assert row.place_r < 0.999 and row.place_divergence > 1e-6
        else:
            assert row.place_r == row.r and row.place_divergence == row.divergence


def test_every_number_is_the_weights_own(first, another, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_checkpoints, "_CELLS", 60)  # several blocks
    monkeypatch.setattr(aligned_runs, "CELLS", 20)
    found = compare_checkpoints.counterparts(first, another)
    for mine, theirs, r in found.r.values():
        A, B = (
            [run.record(site).weights(head, dtype=torch.float64).numpy() for site, head in heads]
            for run, heads in ((first, mine), (another, theirs))
        )
        open_ = first.record(mine[0][0]).allowed().numpy()
        want = np.array([[np.corrcoef(a[open_], b[open_])[0, 1] for b in B] for a in A])
        np.testing.assert_allclose(r, want, atol=1e-9)
        for i, (site, head) in enumerate(mine):
            row, best = found.of(site, head), int(want[i].argmax())
            assert row.nearest == theirs[best] and row.r == pytest.approx(want[i].max(), abs=1e-9)
            mutual = int(want[:, best].argmax()) == i
            assert row.why == ("weak" if want[i, best] < compare_checkpoints.LEAST else "" if mutual else "taken")
            assert (row.other is None) == bool(row.why)
            apart = [np.mean([js(x, y) for x, y in zip(A[i], B[j], strict=True)]) for j in (best, i)]
            assert row.place_divergence == pytest.approx(apart[1], abs=1e-12)
            assert row.why or row.divergence == pytest.approx(apart[0], abs=1e-12)
    partners = [(str(row.other[0]), row.other[1]) for row in found.heads if row.other]
    alone = [(str(site), head) for site, head in found.alone]
    assert len(set(partners)) == len(partners) and len(set(partners + alone)) == 24 == len(partners) + len(alone)
    assert {row.why for row in found.heads} > {""}


def test_fewer_heads_and_layers_leave_some_without(base: Path, first) -> None:
    small = trace_of(tiny.write_checkpoint(base.parent / "small", heads=2, encoder_layers=1))
    found = compare_checkpoints.counterparts(first, small)
    assert not found.same_shape
    encoder = [row for row in found.heads if row.site.stack == "encoder"]
    assert sum(row.other is not None for row in encoder) <= 2 and len(encoder) == 8
    assert all(row.why in ("weak", "taken") for row in encoder if row.other is None)
    assert all(np.isnan(row.place_r) for row in encoder if row.site.layer == 1 or row.head > 1)
    assert not np.isnan(found.of("encoder.0.self", 0).place_r)


def test_only_tokens_of_both_are_compared(base: Path, first, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligned_runs, "CELLS", 20)
    other = trace_of(base, "the black cat sat on a mat")
    sides = aligned_runs.aligned_sides(first, other)
    queries = keys = sides["encoder"].pairs
    # the cat sat on the mat / the black cat sat on a mat
    assert queries == ((0, 0), (1, 2), (2, 3), (3, 4), (5, 6))
    one, two = first.record("encoder.0.self"), other.record("encoder.0.self")
    found = aligned_runs.pair(one, 1, two, 3, queries, keys)
    i, j = zip(*queries, strict=True)
    exact = one.weights(1, dtype=torch.float64).numpy(), two.weights(3, dtype=torch.float64).numpy()
    a, b = exact[0][np.ix_(i, i)], exact[1][np.ix_(j, j)]
    np.testing.assert_allclose(found.rows, [js(x, y) for x, y in zip(a, b, strict=True)], atol=1e-12)
    assert found.correlation == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-9)
    assert found.outside == pytest.approx(max((1 - a.sum(1)).max(), (1 - b.sum(1)).max()), abs=1e-12)
    size, row, column = found.largest
    assert size == pytest.approx(np.abs(b - a).max(), abs=1e-12) == abs(b[row, column] - a[row, column])
    order = np.argsort(-np.abs(b - a), axis=None, kind="stable")[: aligned_runs.MOST]
    np.testing.assert_allclose([abs(y - x) for *_, x, y in found.changed], np.abs(b - a).ravel()[order], atol=1e-12)
    assert all((x, y) == pytest.approx((a[i, j], b[i, j]), abs=1e-12) for i, j, x, y in found.changed)
    assert len({cell[:2] for cell in found.changed}) == aligned_runs.MOST
    with pytest.raises(HeadlightError, match="in common"):
        aligned_runs.pair(one, 0, two, 0, (), ())


def test_another_kind_of_model_and_no_token_in_common(first, translator) -> None:
    other = translator.trace("how many umbrellas does your sister have ?", language="fr")
    why = {row.why for row in compare_checkpoints.counterparts(first, other).heads if row.site.stack == "encoder"}
    assert why == {"tokens"}
    alone = replace(other, attention={s: r for s, r in other.attention.items() if s.stack == "decoder"})
    found = compare_checkpoints.counterparts(first, alone)
    assert {row.why for row in found.heads if row.site.stack == "encoder"} == {"kind"}


def test_matching_can_be_stopped(first, another) -> None:
    with pytest.raises(Stopped), report_to(ProgressListener(lambda what, fraction: None, lambda: True)):
        compare_checkpoints.counterparts(first, another)
