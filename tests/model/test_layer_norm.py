"""The norms against their formulas in numpy, entry by entry, and against the kernel that the model runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.transformer.layer_norm import layer_norm, rms_norm
from model.transformer.layers import LayerNorm

EXACT = {"atol": 1e-12, "rtol": 0}


def given(rows: int = 3, d: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    return generator.normal(2, 3, (rows, d)), generator.normal(1, 0.5, d), generator.normal(0, 0.5, d)


@pytest.mark.parametrize("epsilon", [1e-5, 0.25])
def test_layer_norm_entry_by_entry(epsilon: float) -> None:
    x, gamma, beta = given()
    found = layer_norm(*map(torch.tensor, (x, gamma, beta)), epsilon)
    for i, row in enumerate(x):
        mean = math.fsum(row) / len(row)
        variance = math.fsum((value - mean) ** 2 for value in row) / len(row)
        sigma = math.sqrt(variance + epsilon)
        parts = [part[i, 0].item() for part in (found.mean, found.variance, found.sigma)]
        np.testing.assert_allclose(parts, [mean, variance, sigma], **EXACT)
        y = [(value - mean) / sigma * g + b for value, g, b in zip(row, gamma, beta, strict=True)]
        np.testing.assert_allclose(found.y[i], y, **EXACT)


@pytest.mark.parametrize("epsilon", [1e-6, 0.25])
def test_rms_norm_entry_by_entry(epsilon: float) -> None:
    x, gamma, _ = given()
    found = rms_norm(torch.tensor(x), torch.tensor(gamma), epsilon)
    for i, row in enumerate(x):
        sigma = math.sqrt(math.fsum(value**2 for value in row) / len(row) + epsilon)
        np.testing.assert_allclose(found.sigma[i, 0], sigma, **EXACT)
        np.testing.assert_allclose(found.y[i], [v / sigma * g for v, g in zip(row, gamma, strict=True)], **EXACT)
    assert not found.mean.any()


def test_without_parameters_rows_have_mean_0_and_variance_1() -> None:
    y = layer_norm(torch.tensor(given(4, 9)[0]), epsilon=0.0).y
    np.testing.assert_allclose(y.mean(-1), np.zeros(4), **EXACT)
    np.testing.assert_allclose((y**2).mean(-1), np.ones(4), **EXACT)


def test_a_row_of_equal_numbers_is_beta() -> None:
    found = layer_norm(torch.full((1, 4), 3.0).double(), torch.ones(4).double(), torch.arange(4.0).double())
    np.testing.assert_allclose(found.y, [[0, 1, 2, 3]], **EXACT)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3, 8)])
def test_the_kernel_of_the_model_is_the_formula(shape: tuple[int, ...]) -> None:
    module = LayerNorm(shape[-1]).double()
    with torch.no_grad():
        module.gamma.uniform_(0.5, 2)
        module.beta.uniform_(-1, 1)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        np.testing.assert_allclose(module(x), layer_norm(x, module.gamma, module.beta).y, **EXACT)
