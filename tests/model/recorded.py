"""What the tests of `instrument` share: a record held against weights that were come by otherwise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from model import Trace, instrument
from tests import bounds

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def sharp(module: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """In evaluation mode, with weights three times as large, so that attention is far from even."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    return module.to(dtype).eval()


def same(trace: Trace, site: str, wanted: Tensor, dtype: torch.dtype = torch.float64) -> None:
    """Every head, whole and as a tile, against `wanted` [h, q, k]."""
    record = trace.record(site)
    assert wanted.shape == (record.heads, record.queries, record.keys)
    for head in range(record.heads):
        whole = record.weights(head, dtype=dtype)
        tile = record.weights(head, slice(1, 3), slice(0, 2), dtype=dtype)
        bound = bounds.weight(record.scores(head, dtype=torch.float64), 64, dtype)
        torch.testing.assert_close(whole, wanted[head], atol=bound, rtol=0)
        torch.testing.assert_close(tile, wanted[head, 1:3, 0:2], atol=bound, rtol=0)


def faithful(trace: Trace, dtype: torch.dtype = torch.float64) -> None:
    """W_O was found at every site, and the record implies what the module put out."""
    found = trace.fidelity()
    assert found.sites.keys() == {str(site) for site in trace.sites}
    assert found.holds
    for site, error in found.sites.items():
        assert error <= bounds.off(trace.record(site).output, 1024, dtype), site


def own_weights(module: nn.Module, *args: Tensor, **kwargs: Tensor) -> dict[str, Tensor]:
    """Path of each nn.MultiheadAttention -> [h, q, k]: its inputs are caught and it is asked once more for weights."""
    caught: list[tuple[str, nn.Module, tuple, dict]] = []
    handles = [
        part.register_forward_pre_hook(
            lambda part, a, k, name=name: caught.append((name, part, a, k)), with_kwargs=True
        )
        for name, part in module.named_modules()
        if isinstance(part, nn.MultiheadAttention)
    ]
    with torch.no_grad():
        module(*args, **kwargs)
    for handle in handles:
        handle.remove()
    again = {"need_weights": True, "average_attn_weights": False}
    with torch.no_grad():
        return {name: part(*a, **(k | again))[1][0] for name, part, a, k in caught}


def recorded(module: nn.Module, width: int, n: int = 7, dtype: torch.dtype = torch.float64) -> Trace:
    module = sharp(module, dtype)
    trace = instrument(module).trace(torch.randn(1, n, width, dtype=dtype))
    faithful(trace, dtype)
    return trace
