"""Queries that are parameters, softmaxes over something else than keys, one token alone: recorded exactly, or named."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import errors, instrument
from tests.model.test_instrument_sequences import Attention, D, H, N

D_K = D // H


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Pooling(nn.Module):
    """Learned queries that nothing projects; `form` is how their product with the keys is written."""

    def __init__(self, form: str, queries: int):
        super().__init__()
        self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(3))
        self.query, self.form, self.weights = nn.Parameter(torch.randn(queries, D)), form, torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        k, v, n = self.k(x), self.v(x), self.query.shape[0]
        if self.form in ONE_HEAD:
            scores = ONE_HEAD[self.form](self.query, k) / 4
            w = scores.softmax(-1).reshape(1, n, -1)
            self.weights = w.detach()
            return w @ v
        q = self.query.view(n, H, D_K).transpose(0, 1)
        k, v = (t.view(1, -1, H, D_K).transpose(1, 2) for t in (k, v))
        scores = torch.einsum("hqd,bhkd->bhqk", q, k) if self.form == "einsum" else q[None] @ k.mT
        w = (scores / math.sqrt(D_K)).softmax(-1)
        self.weights = w[0].detach()
        return self.o((w @ v).transpose(1, 2).reshape(1, n, D))


ONE_HEAD = {
    "left": lambda query, k: query @ k.mT, "batched": lambda query, k: query[None] @ k.mT,
    "right": lambda query, k: (k @ query.T).mT, "linear": lambda query, k: F.linear(k, query).transpose(1, 2),
    "vector": lambda query, k: k @ query[0],
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "queries"),
    [(form, queries) for form in [*ONE_HEAD, "heads", "einsum"] for queries in (1, 3, N) if form != "vector" or queries == 1],
)  # fmt: skip
def test_a_learned_query_that_is_not_projected(form: str, queries: int):
    module = Pooling(form, queries).eval()
    trace = instrument(module).trace(torch.randn(1, N, D))
    (site,) = trace.sites
    record = trace.record(site)
    assert str(site) == "decoder.0.cross" and (record.queries, record.keys) == (queries, N)
    got = torch.stack([trace.weights(site, head) for head in range(record.heads)])
    assert torch.allclose(got, module.weights, atol=1e-6)
    assert record.scale == pytest.approx(0.25 if form in ONE_HEAD else 0.5) and not record.mask.causal
    own = module.query.detach().view(queries, record.heads, -1).transpose(0, 1)
    assert torch.allclose(record.q, own) and trace.fidelity().holds


class Routed(Attention):
    """Self-attention whose layers have their matrix on the left or are bare, before a router over four experts."""

    def __init__(self):
        super().__init__()
        self.w_q, self.w_k, self.gate = (nn.Parameter(torch.randn(D, size) / 4) for size in (D, D, 4))
        self.experts = nn.Parameter(torch.randn(4, D, D))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        q, k = (self.w_q.mT @ x.mT).mT * D_K**-0.5, x @ self.w_k
        q, k, v = (self.heads(t) for t in (q, k, self.v(x)))
        w = (q @ k.mT).softmax(-1)
        self.weights.append(w[0].detach())
        x = self.o((w @ v).transpose(1, 2).reshape(x.shape))
        routes = (x @ self.gate).softmax(-1)
        routed = (self.gate.mT @ x.mT).softmax(1)
        return torch.einsum("bne,bned->bnd", routes + routed.mT, torch.einsum("bnd,edf->bnef", x, self.experts))


def test_a_layer_of_a_bare_matrix_is_no_query():
    module = Routed().eval()
    trace = instrument(module).trace(torch.randn(1, N, D))
    (site,) = trace.sites
    assert str(site) == "encoder.0.self" and "missing" not in trace.facts
    got = torch.stack([trace.weights(site, head) for head in range(H)])
    assert torch.allclose(got, module.weights[0], atol=1e-6)
    assert trace.record(site).scale == pytest.approx(0.5) and trace.fidelity().holds


class Slots(nn.Module):
    """Slot Attention (Locatello et al. 2020): each key is shared out among the slots, then each slot's share is averaged."""

    def __init__(self, keys_first: bool, averaged: bool, heads: int):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, D, bias=False) for _ in range(3))
        self.slots = nn.Parameter(torch.randn(1, 3, D))
        self.keys_first, self.averaged, self.heads = keys_first, averaged, heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            t.view(1, t.shape[1], self.heads, -1).transpose(1, 2) for t in (self.q(self.slots), self.k(x), self.v(x))
        )
        shares = (k @ q.mT).softmax(-1).mT if self.keys_first else (q @ k.mT).softmax(2)
        if self.averaged:
            shares = shares + 1e-8
            shares = shares / shares.sum(-1, keepdim=True)
        return shares @ v


@pytest.mark.parametrize("n", [N, 3])
@pytest.mark.parametrize("heads", [1, H])
@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("keys_first", [True, False])
def test_a_softmax_over_slots_is_named(keys_first: bool, averaged: bool, heads: int, n: int):
    with pytest.raises(errors.SharedOut, match="among the queries"):
        instrument(Slots(keys_first, averaged, heads).eval()).trace(torch.randn(1, n, D))


def test_weights_that_are_used_both_ways_are_recorded():
    module = Attention().eval()

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v = (module.heads(f(x)) for f in (module.q, module.k, module.v))
        w = (q @ k.mT).softmax(-1)
        return w.mT @ q, w @ v

    (site,) = instrument(module, forward=forward).trace(torch.randn(1, N, D)).sites
    assert str(site) == "encoder.0.self"


class ByHead(nn.Module):
    """A matrix a head, in einsums: over one token they copy the matrices, and multiply where they had a product."""

    def __init__(self, values_to_output: bool):
        super().__init__()
        self.w_q, self.w_k, self.w_v = (nn.Parameter(torch.randn(H, D, D_K)) for _ in range(3))
        self.w_o, self.at_once = nn.Parameter(torch.randn(H, D_K, D)), values_to_output

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (torch.einsum("bnd,hdk->bhnk", x, w) for w in (self.w_q, self.w_k, self.w_v))
        w = (torch.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(D_K)).softmax(-1)
        if self.at_once:
            return torch.einsum("bhqk,bhkd,hde->bqe", w, v, self.w_o)
        return torch.einsum("bhqd,hde->bqe", torch.einsum("bhqk,bhkd->bhqd", w, v), self.w_o)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("n", [1, 2, H])
def test_an_einsum_a_head_over_one_token(at_once: bool, n: int):
    module, x = ByHead(at_once).eval(), torch.randn(1, n, D)
    trace = instrument(module).trace(x)
    (site,) = trace.sites
    record = trace.record(site)
    q, k = (torch.einsum("nd,hdk->hnk", x[0], w.detach()) for w in (module.w_q, module.w_k))
    assert str(site) == "encoder.0.self" and record.scale == pytest.approx(0.5)
    assert torch.allclose(record.q, q, atol=1e-5) and torch.allclose(record.k, k, atol=1e-5)
    weights = torch.stack([trace.weights(site, head) for head in range(H)])
    assert torch.allclose(weights, (q @ k.mT / 2).softmax(-1), atol=1e-5) and trace.fidelity().holds


def test_weights_that_meet_values_one_by_one_are_no_change_of_weights():
    query = nn.Parameter(torch.randn(D))
    module = nn.ParameterDict({"query": query})

    def forward(x: Tensor) -> Tensor:
        return ((x @ module["query"]).softmax(-1)[..., None] * x).sum(1)

    with pytest.raises(errors.MixedByCell, match="each weight multiplies its value"):
        instrument(module, forward=forward).trace(torch.randn(1, N, D))


def test_a_pooling_that_is_not_recorded_beside_attention_is_said():
    module = nn.ModuleDict({"layer": Attention(), "pool": nn.Module()}).eval()
    module["pool"].query = nn.Parameter(torch.randn(D))

    def forward(x: Tensor) -> Tensor:
        x = module["layer"](x)
        return ((x @ module["pool"].query).softmax(-1)[..., None] * x).sum(1)

    trace = instrument(module, forward=forward).trace(torch.randn(1, N, D))
    assert [str(site) for site in trace.sites] == ["encoder.0.self"]
    assert trace.facts["missing"] == ["ModuleDict"]  # it happens in no part: the class of the whole is named
