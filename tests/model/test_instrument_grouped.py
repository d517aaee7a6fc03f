"""Heads written as more axes than one, or merged with the queries: einsums over groups, keys that all heads share."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from model.instrumentation.instrument import instrument

N, GROUPS, EACH, D_K = 5, 2, 3, 4
HEADS = GROUPS * EACH
D = HEADS * D_K


class Grouped(nn.Module):
    """Grouped-query attention, whose scores and context are made by `scores` and `context` of the subclass."""

    groups, causal = GROUPS, True

    def __init__(self):
        super().__init__()
        self.q, self.o = nn.Linear(D, D), nn.Linear(D, D)
        self.k, self.v = (nn.Linear(D, self.groups * D_K) for _ in range(2))

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q [b, n, g, r, d_k], k and v [b, n, g, d_k]"""
        b, n, _ = x.shape
        q = self.q(x).view(b, n, self.groups, HEADS // self.groups, D_K)
        return q, *(f(x).view(b, n, self.groups, D_K) for f in (self.k, self.v))

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.mixed(*self.projected(x), x.shape[1]).reshape(x.shape))

    def future(self, n: int) -> Tensor:
        return torch.ones(n, n).triu(1).bool() if self.causal else torch.zeros(n, n, dtype=torch.bool)


class GroupsFirst(Grouped):
    def mixed(self, q, k, v, n):
        s = torch.einsum("bqgrd,bkgd->bgrqk", q, k) / math.sqrt(D_K)
        return torch.einsum("bgrqk,bkgd->bqgrd", s.masked_fill(self.future(n), -math.inf).softmax(-1), v)


class GroupsInside(Grouped):
    """Each head's group is the inner axis: query projection and W_O have the heads in an order that the product has not."""

    causal = False

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().projected(x)
        return q.reshape(*q.shape[:2], HEADS // self.groups, self.groups, D_K), k, v

    def mixed(self, q, k, v, n):
        w = (torch.einsum("bqrgd,bkgd->brgqk", q, k) / math.sqrt(D_K)).softmax(-1)
        return torch.einsum("brgqk,bkgd->bqrgd", w, v)


class QueriesBeforeGroups(Grouped):
    """The queries are not the last axis before the keys: the mask says where they are."""

    def mixed(self, q, k, v, n):
        s = torch.einsum("bqgrd,bkgd->bgqrk", q, k) / math.sqrt(D_K)
        w = s.masked_fill(self.future(n)[:, None], -math.inf).softmax(-1)
        return torch.einsum("bgqrk,bkgd->bqgrd", w, v)


class Flattened(Grouped):
    """The groups are merged into one axis of heads between the einsum and the softmax."""

    causal = False

    def mixed(self, q, k, v, n):
        s = torch.einsum("bqgrd,bkgd->bgrqk", q, k).reshape(1, HEADS, n, n) / math.sqrt(D_K)
        w = s.masked_fill(self.future(n), -math.inf).softmax(-1).view(1, self.groups, -1, n, n)
        return torch.einsum("bgrqk,bkgd->bqgrd", w, v)


class KeysFirst(Grouped):
    """The keys are the left factor."""

    def mixed(self, q, k, v, n):
        s = torch.einsum("bkgd,bqgrd->bgkrq", k, q) / math.sqrt(D_K)
        w = s.masked_fill(self.future(n).mT[:, None], -math.inf).softmax(2)
        return torch.einsum("bgkrq,bkgd->bqgrd", w, v)


class OneKeyForAll(Grouped):
    """Multi-query attention: keys and values [b, n, d_k], no axis of heads at all."""

    groups = 1

    def mixed(self, q, k, v, n):
        s = torch.einsum("bqhd,bkd->bhqk", q[:, :, 0], k[:, :, 0]) / math.sqrt(D_K)
        return torch.einsum("bhqk,bkd->bqhd", s.masked_fill(self.future(n), -math.inf).softmax(-1), v[:, :, 0])


class OneKeyByMatmul(Grouped):
    groups = 1

    def mixed(self, q, k, v, n):
        s = q[0, :, 0].transpose(0, 1) @ k[0, :, 0].T / math.sqrt(D_K)
        return (s.masked_fill(self.future(n), -math.inf).softmax(-1) @ v[0, :, 0]).transpose(0, 1)


class PositionBias(GroupsFirst):
    """A bias a head on top of the groups."""

    def mixed(self, q, k, v, n):
        torch.manual_seed(5)
        bias = torch.randn(self.groups, EACH, n, n)
        s = torch.einsum("bqgrd,bkgd->bgrqk", q, k) / math.sqrt(D_K) + bias
        return torch.einsum("bgrqk,bkgd->bqgrd", s.masked_fill(self.future(n), -math.inf).softmax(-1), v)


def weights_by_hand(module: Grouped, x: Tensor) -> Tensor:
    """[h, q, k] in float64, head g · r + i reading key head g."""
    q, k, _ = (part.double()[0] for part in module.projected(x))
    n, found = x.shape[1], []
    torch.manual_seed(5)
    bias = torch.randn(module.groups, EACH, n, n).double() if isinstance(module, PositionBias) else None
    for g in range(module.groups):
        for r in range(HEADS // module.groups):
            s = q[:, g, r] @ k[:, g].T / math.sqrt(D_K) + (0 if bias is None else bias[g, r])
            found.append(s.masked_fill(module.future(n), -math.inf).softmax(-1))
    return torch.stack(found)


KINDS = [GroupsFirst, QueriesBeforeGroups, Flattened, KeysFirst, OneKeyForAll, OneKeyByMatmul, PositionBias]


@pytest.mark.parametrize("n", [1, 3, N, 6, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_heads_among_the_rows_are_heads(kind: type[Grouped], n: int):
    # 3 and 6 are where groups, heads and queries are as many.
    torch.manual_seed(n)
    module, x = kind().eval(), torch.randn(1, n, D)
    trace = instrument(module).trace(x)
    (site,) = trace.sites
    record = trace.record(site)
    assert site.kind == "self" and (record.heads, record.queries, record.keys) == (HEADS, n, n)
    with torch.no_grad():
        want = weights_by_hand(module, x)
    got = torch.stack([trace.weights(site, head) for head in range(HEADS)])
    assert torch.allclose(got.double(), want, atol=1e-6)
    assert record.groups == (EACH if module.groups > 1 else HEADS) or n == 1
    assert torch.equal(trace.parameter(site, "W_O"), module.o.weight.T)
    assert trace.fidelity().compared == {str(site): "output"} and trace.fidelity().holds


@pytest.mark.parametrize("kind", [GroupsFirst, QueriesBeforeGroups, OneKeyForAll])
def test_the_check_notices_heads_in_another_order(kind: type[Grouped]):
    torch.manual_seed(0)
    module, x = kind().eval(), torch.randn(1, N, D)
    trace = instrument(module).trace(x)
    (site,) = trace.sites
    store = trace.record(site).store
    store._tensors[f"{site}.q"] = trace.q(site).flip(0)
    assert not trace.fidelity().holds


@pytest.mark.parametrize("n", [1, 2, 3, N, 6, 7])
def test_heads_are_in_the_order_of_their_projections(n: int):
    torch.manual_seed(n)
    module, x = GroupsInside().eval(), torch.randn(1, n, D)
    trace = instrument(module).trace(x)
    (site,) = trace.sites
    with torch.no_grad():
        q, k, _ = (part.double()[0] for part in module.projected(x))
        scores = torch.einsum("qrgd,kgd->rgqk", q, k) / math.sqrt(D_K)
    got = torch.stack([trace.weights(site, head) for head in range(HEADS)])
    assert torch.allclose(got.double(), scores.softmax(-1).flatten(0, 1), atol=1e-6)
    assert torch.equal(trace.parameter(site, "W_O"), module.o.weight.T)
    assert trace.fidelity().compared == {str(site): "output"} and trace.fidelity().holds
