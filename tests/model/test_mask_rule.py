"""The one rule that tells a mask from a bias, at its edges: every way in which masks are written, and biases that are none."""

from __future__ import annotations

import math

import pytest
import torch

from model.instrumentation.operators.terms import split_terms
from model.trace.mask_and_bias import is_masked

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_way_of_writing_a_mask(dtype: torch.dtype):
    smallest = torch.finfo(dtype).min
    written = torch.tensor([-math.inf, smallest, -1e4, smallest / 2, smallest * 0.99], dtype=dtype)
    assert is_masked(written).all()
    # A position bias (T5's are tens) in the same tensor lifts a mask a little.
    assert is_masked(torch.tensor([-1e4, smallest], dtype=dtype) + 60).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_what_is_no_mask(dtype: torch.dtype):
    plain = torch.tensor([0.0, -1.0, -250.0, 8e3, -8e3, torch.finfo(dtype).max, math.inf, math.nan], dtype=dtype)
    assert not is_masked(plain).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_large_biases_of_real_models(dtype: torch.dtype):
    # ALiBi's steepest slope for 64 heads (Press et al. 2022, section 3) over 8,192 tokens; −7,512 at its end.
    alibi = -(2.0 ** (-8 / 64)) * torch.arange(8192.0)
    assert not is_masked(alibi.to(dtype)).any()
    assert is_masked(torch.tensor(-(2.0**-1) * 18_100)) and not is_masked(torch.tensor(-(2.0**-1) * 17_900))


def test_numbers_as_well_as_tensors():
    assert is_masked(-1e4) and is_masked(-math.inf) and is_masked(-9984.0)
    assert not is_masked(-8999.0) and not is_masked(math.nan) and not is_masked(0.0)


@pytest.mark.parametrize("low", [-1e4, -1e9, -math.inf, torch.finfo(torch.float32).min])
@pytest.mark.parametrize("even_rows", [False, True])
def test_a_mask_beside_a_large_bias(low: float, even_rows: bool):
    later = torch.ones(6, 6).triu(1).bool()
    alibi = -0.9 * torch.arange(8192.0)[-6:].expand(6, 6)  # no mask, though it is below −7,000
    added = alibi.masked_fill(later, low)[None]
    terms = split_terms((1, 6, 6), [added], [], even_rows)
    assert torch.equal(terms.allowed, ~later) and torch.equal(terms.masked[0], later)
    offsets = torch.arange(6)[None] - torch.arange(6)[:, None] + 5
    found = terms.bias[:, offsets] if terms.kind == "bias_offsets" else terms.bias
    weights = found[0].masked_fill(later, -math.inf).softmax(-1)
    torch.testing.assert_close(weights, alibi.masked_fill(later, -math.inf).softmax(-1), atol=1e-3, rtol=0)


def test_a_fault_is_not_hidden():
    added = torch.zeros(1, 3, 3)
    added[0, 1, 2] = math.nan
    assert split_terms((1, 3, 3), [added], []).allowed.all()
