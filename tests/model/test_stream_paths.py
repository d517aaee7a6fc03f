"""The paths of the tokens: the principal components of all points, held against the eigenvectors of their covariance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.residual import paths, stream
from tests.model import tiny


def made(*shapes: tuple[int, int, int], seed: int = 0) -> list[np.ndarray]:
    """Runs whose features differ in scale, so that the largest variances are far apart."""
    numbers = np.random.default_rng(seed)
    d = shapes[0][-1]
    return [numbers.standard_normal(shape) * 1.7 ** -np.arange(d) + numbers.standard_normal(d) for shape in shapes]


@pytest.mark.parametrize("shapes", [[(3, 5, 7)], [(4, 6, 5), (4, 3, 5)], [(2, 1, 9)], [(2, 2, 2)], [(2, 40, 3)]])
def test_axes_are_those_of_the_covariance(shapes) -> None:
    runs = made(*shapes)
    flat = np.concatenate([run.reshape(-1, run.shape[-1]) for run in runs])
    centred = flat - flat.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    real = min(3, len(flat) - 1, flat.shape[1])
    found = paths.paths([torch.tensor(run) for run in runs])
    np.testing.assert_allclose(found.share, [*(values[:real] / values.sum()), *[0.0] * (3 - real)], atol=1e-10, rtol=0)
    directions = found.directions.numpy()
    np.testing.assert_allclose(directions @ directions.T, np.diag([1.0] * real + [0.0] * (3 - real)), atol=1e-12)
    for i in range(real):
        wanted = vectors[:, i] * np.sign(vectors[np.abs(vectors[:, i]).argmax(), i])
        np.testing.assert_allclose(directions[i], wanted, atol=1e-8)
    for run, points in zip(runs, found.points, strict=True):
        assert points.shape == (*run.shape[:2], 3)
        again = found.mean.numpy() + points.numpy() @ directions
        left_out = ((run - again) ** 2).sum()
        best = run - flat.mean(0) - (run - flat.mean(0)) @ vectors[:, :real] @ vectors[:, :real].T
        assert left_out == pytest.approx((best**2).sum(), rel=1e-8, abs=1e-12)
    # What the axes leave out of all points is the variance of the other directions.
    all_points = np.concatenate([points.numpy().reshape(-1, 3) for points in found.points])
    assert (centred**2).sum() - (all_points**2).sum() == pytest.approx(values[real:].sum(), abs=1e-9 * values.sum())


def test_points_that_are_all_one_have_no_directions() -> None:
    found = paths.paths([torch.ones(3, 4, 6)])
    assert found.share == (0.0, 0.0, 0.0) and not found.points[0].any() and not found.directions.any()


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_a_recorded_path_is_the_recorded_stream(tiny_model, stack: str) -> None:
    trace = tiny_model.trace(tiny.TEXT, tiny.WRITTEN)
    names = stream.streams(trace, stack)
    found = paths.recorded(trace, stack, slice(1, 4))
    assert found.shape == (len(names), 3, 16) and found.dtype == torch.float64
    for depth, name in enumerate(names):
        assert torch.equal(found[depth], trace.activation(name)[1:4].double())
    unit = paths.recorded(trace, stack, slice(1, 4), unit=True)
    np.testing.assert_allclose(np.linalg.norm(unit.numpy(), axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(
        unit.numpy() * np.linalg.norm(found.numpy(), axis=-1, keepdims=True), found.numpy(), atol=1e-12
    )
