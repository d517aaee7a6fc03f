"""Distributions, likeness and principal components against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.residual import activations as activations
from tests.model import tiny

pytestmark = pytest.mark.float32

SHAPES = [(1, 5), (2, 7), (3, 2), (9, 4), (6, 16)]


def made(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0.5, 2, shape)


def test_names_by_kind(trace) -> None:
    found = activations.names(trace, "decoder")
    n = len(trace.tokens("decoder"))
    assert found and all(trace.store.shape(name)[0] == n and len(trace.store.shape(name)) == 2 for name in found)
    kinds = activations.kinds(found)
    assert {"input", "self.output", "cross.norm", "ffn.pre", "ffn.post", "output"} <= set(kinds)
    assert len(kinds) == len(set(kinds))
    assert activations.layers_of(found, "ffn.post") == ["decoder.0.ffn.post", "decoder.1.ffn.post"]
    assert activations.kind_of("encoder.11.self.output") == "self.output"
    assert not any("rotary" in name for name in found)


@pytest.mark.parametrize("shape", SHAPES)
def test_quantiles(shape) -> None:
    x = made(shape)
    expected = np.quantile(x, activations.QUANTILES)
    np.testing.assert_allclose(activations.quantiles(torch.tensor(x)), expected, atol=1e-12, rtol=0)


def test_quantiles_of_very_many_numbers_take_every_other_row(monkeypatch) -> None:
    monkeypatch.setattr(activations, "_SAMPLE", 20)
    x = made((9, 4))
    assert activations.thinned((9, 4)) == 2 and activations.thinned((5, 4)) == 1
    np.testing.assert_allclose(
        activations.quantiles(torch.tensor(x)), np.quantile(x[::2], activations.QUANTILES), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_likeness(shape) -> None:
    x = made(shape)
    expected = np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in x] for a in x])
    np.testing.assert_allclose(activations.similarity(torch.tensor(x)), expected, atol=1e-12, rtol=0)
    mean = activations.mean_similarity(torch.tensor(x))
    if len(x) == 1:
        assert np.isnan(mean)
    else:
        assert mean == pytest.approx(expected[~np.eye(len(x), dtype=bool)].mean(), abs=1e-12)
    zero = torch.zeros(2, 3)
    assert torch.equal(activations.similarity(zero), torch.zeros(2, 2, dtype=torch.float64))


@pytest.mark.parametrize("shape", SHAPES)
def test_principal_components(shape) -> None:
    """By the eigenvectors of the covariance, whose signs are fixed the same way."""
    x = made(shape)
    centred = x - x.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    found = activations.plane(torch.tensor(x))
    assert found.points.shape == (len(x), 2)
    total = values.sum() or 1.0
    real = min(2, len(x) - 1)
    np.testing.assert_allclose(found.share, [*(values[:real] / total), *[0.0] * (2 - real)], atol=1e-12, rtol=0)
    for i in range(real):
        direction = vectors[:, i] * np.sign(vectors[np.abs(vectors[:, i]).argmax(), i])
        np.testing.assert_allclose(found.points[:, i], centred @ direction, atol=1e-9, rtol=0)
    np.testing.assert_allclose(found.points[:, real:], 0, atol=1e-12, rtol=0)


def test_recorded_planes_are_of_the_recorded_stream(tiny_model) -> None:
    stream = tiny_model.trace(tiny.TEXT, tiny.WRITTEN).activation("encoder.1.ffn.norm").double()
    found = activations.plane(stream)
    left, size, _ = np.linalg.svd(stream.numpy() - stream.numpy().mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found.points.numpy()), np.abs(left[:, :2] * size[:2]), atol=1e-10, rtol=0)
    assert 0 < found.share[1] <= found.share[0] < sum(found.share) <= 1
