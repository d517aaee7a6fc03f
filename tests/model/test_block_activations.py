"""Distributions, similarities and principal components against numpy and against definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model import block_activations as activations
from model import open_model

EXACT = {"atol": 1e-11, "rtol": 0}


def values(n: int = 9, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(n)) * 2 + 0.5


@pytest.mark.parametrize("n", [1, 2, 9, 50])
def test_quantiles_are_numpys(n: int) -> None:
    x = values(n)
    np.testing.assert_allclose(
        activations.quantiles(x), np.quantile(x.double().numpy(), activations.QUANTILES), **EXACT
    )


def test_quantiles_of_very_many_are_of_rows_in_between(monkeypatch) -> None:
    monkeypatch.setattr(activations, "_SAMPLE", 20)
    x = values(9)
    np.testing.assert_allclose(
        activations.quantiles(x), np.quantile(x[::3].double().numpy(), activations.QUANTILES), **EXACT
    )


def test_cosines_and_their_mean() -> None:
    x = values().double().numpy()
    found = activations.similarity(values()).numpy()
    total = 0.0
    for i in range(9):
        for j in range(9):
            cosine = x[i] @ x[j] / math.sqrt((x[i] @ x[i]) * (x[j] @ x[j]))
            assert found[i, j] == pytest.approx(cosine, abs=1e-12)
            total += cosine if i != j else 0
    assert activations.mean_similarity(values()) == pytest.approx(total / 72, abs=1e-12)
    assert math.isnan(activations.mean_similarity(values(1)))


@pytest.mark.parametrize("n", [3, 9, 40])
def test_the_plane_is_that_of_the_covariance(n: int) -> None:
    x = values(n).double().numpy()
    found = activations.plane(values(n))
    size, directions = np.linalg.eigh(np.cov(x.T))
    order = np.argsort(-size)
    expected = (x - x.mean(0)) @ directions[:, order[:2]]
    expected *= np.sign(directions[np.abs(directions[:, order[:2]]).argmax(0), order[:2]])
    np.testing.assert_allclose(found.points, expected, atol=1e-9)
    np.testing.assert_allclose(found.share, size[order[:2]] / size.sum(), atol=1e-9)


@pytest.mark.parametrize("n", [1, 2])
def test_few_tokens_leave_directions_empty(n: int) -> None:
    found = activations.plane(values(n))
    assert found.points.shape == (n, 2) and bool(found.points.isfinite().all())
    np.testing.assert_allclose(found.points[:, 1], 0, atol=1e-12)
    assert found.share[0] == pytest.approx(float(n > 1)) and found.share[1] == pytest.approx(0, abs=1e-12)


def test_names_by_kind_and_layer() -> None:
    trace = open_model("translate").trace("the cat sat", language="zh")
    for stack in ("encoder", "decoder"):
        found = activations.names(trace, stack)
        n = len(trace.tokens(stack))
        assert all(trace.activation(name).shape[0] == n and trace.activation(name).dim() == 2 for name in found)
        kinds = activations.kinds(found)
        assert "ffn.post" in kinds and "input" in kinds and len(set(kinds)) == len(kinds)
        assert activations.layers_of(found, "ffn.post") == [f"{stack}.{i}.ffn.post" for i in range(2)]
        assert sum(len(activations.layers_of(found, kind)) for kind in kinds) == len(found)
