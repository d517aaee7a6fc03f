"""Attention of every form: a softmax written out is recorded, any other mixing of rows is named, alone or beside others."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import errors, instrument
from tests import bounds
from tests.model.test_instrument_sequences import Attention, D, H

N, D_K = 6, D // H
CAUSAL = torch.ones(N, N).tril()


class Form(nn.Module):
    """Multi-head attention by `mix`; `kept` are its weights, by a formula in float64."""

    def __init__(self, mix: Callable[[Form, Tensor, Tensor, Tensor], Tensor]):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(4))
        self.sink, self.heads, self.u = nn.Parameter(torch.randn(H)), nn.Parameter(torch.randn(H, H)), nn.Linear(D_K, 1)
        self.mix, self.kept = mix, None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).view(1, N, H, D_K).transpose(1, 2) for f in (self.q, self.k, self.v))
        self.kept = q[0].double() @ k[0].double().mT / math.sqrt(D_K)
        return self.o(self.mix(self, q, k, v).transpose(1, 2).reshape(1, N, D))


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT / math.sqrt(D_K)


def over_sum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    s = scores(q, k)
    e = (s - s.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True) @ v


def over_sum_and_one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    e = scores(q, k).exp()
    return e / (1 + e.sum(-1, keepdim=True)) @ v


def masked_by_product(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    e = scores(q, k).exp() * CAUSAL
    return e * e.sum(-1, keepdim=True).reciprocal() @ v


def with_sink(form: Form, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    beside = form.sink.view(1, H, 1, 1).expand(1, H, N, 1)
    s = torch.cat([scores(q, k), beside], -1)
    return (s - s.max(-1, keepdim=True).values).softmax(-1)[..., :-1] @ v


def in_runs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.cat([scores(part, k).softmax(-1) @ v for part in q.split(2, 2)], 2)


def causal_in_runs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    masks = CAUSAL.bool().split(2)
    runs = (F.scaled_dot_product_attention(part, k, v, mask) for part, mask in zip(q.split(2, 2), masks, strict=True))
    return torch.cat(list(runs), 2)


def softmax(s: Tensor, *beside: Tensor) -> Tensor:
    e = s.exp()
    return e / (e.sum(-1, keepdim=True) + sum(part.exp() for part in beside))


RECORDED = {
    "exponentials over their sum": (lambda form, *qkv: over_sum(*qkv), lambda form, s: softmax(s)),
    "less their log-sum-exp": (
        lambda form, q, k, v: (scores(q, k) - scores(q, k).logsumexp(-1, keepdim=True)).exp() @ v, lambda form, s: softmax(s),
    ),
    "exp of a log-softmax": (lambda form, q, k, v: scores(q, k).log_softmax(-1).exp() @ v, lambda form, s: softmax(s)),
    "less their maximum": (
        lambda form, q, k, v: (scores(q, k) - scores(q, k).amax(-1, keepdim=True)).softmax(-1) @ v, lambda form, s: softmax(s),
    ),
    "masked by a product with 0": (
        lambda form, *qkv: masked_by_product(*qkv), lambda form, s: softmax(s.masked_fill(CAUSAL == 0, -math.inf)),
    ),
    "a learned sink beside them": (with_sink, lambda form, s: softmax(s, form.sink.double()[:, None, None])),
    "one more than the sum": (lambda form, *qkv: over_sum_and_one(*qkv), lambda form, s: softmax(s, torch.zeros(1, 1, 1))),
    "runs of queries": (lambda form, *qkv: in_runs(*qkv), lambda form, s: softmax(s)),
    "runs of queries, causal": (
        lambda form, *qkv: causal_in_runs(*qkv), lambda form, s: softmax(s.masked_fill(CAUSAL == 0, -math.inf)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", RECORDED)
def test_a_softmax_that_is_written_out(form: str):
    torch.manual_seed(0)
    mix, formula = RECORDED[form]
    module = nn.ModuleList([Form(mix), Form(mix)]).eval()
    with torch.no_grad():
        for layer in module:
            layer.q.weight.mul_(3)
    trace = instrument(module, forward=lambda x: module[1](x + module[0](x))).trace(torch.randn(1, N, D))
    assert [site.layer for site in trace.sites] == [0, 1] and not trace.facts.get("missing")
    for site, layer in zip(trace.sites, module, strict=True):
        wanted, record = formula(layer, layer.kept).detach(), trace.record(site)
        assert (record.heads, record.queries, record.keys) == (H, N, N)
        assert trace.tokens(site.query_side) == [str(i) for i in range(N)]
        for head in range(H):
            bound = bounds.weight(record.scores(head, dtype=torch.float64), 64, torch.float32)
            torch.testing.assert_close(record.weights(head).double(), wanted[head], atol=bound, rtol=0)
            torch.testing.assert_close(
                record.weights(head, columns=slice(1, 3)).double(), wanted[head, :, 1:3], atol=bound, rtol=0
            )
        assert record.plain == ("sink" not in form and "one more" not in form)
    assert trace.fidelity().holds


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_sink_in_half_precision(dtype: torch.dtype):
    torch.manual_seed(0)
    module = Form(with_sink).eval().to(dtype)
    trace = instrument(module).trace(torch.randn(1, N, D, dtype=dtype))
    wanted = softmax(module.kept, module.sink.double()[:, None, None]).detach()
    got = torch.stack([trace.weights("encoder.0.self", head) for head in range(H)]).double()
    torch.testing.assert_close(got, wanted, atol=8 * torch.finfo(dtype).eps, rtol=0)
    assert float((1 - got.sum(-1)).min()) > 0.01 and trace.fidelity().holds


def additive(form: Form, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Bahdanau et al. 2015, appendix A.1.2."""
    return form.u(torch.tanh(q[:, :, :, None] + k[:, :, None])).squeeze(-1).softmax(-1) @ v


def several(q: Tensor, k: Tensor) -> Tensor:
    return torch.cat([scores(q, k[:, :, :2]), scores(q, k[:, :, 2:])], -1).softmax(-1)


NAMED = {
    "sigmoid": (errors.NoSoftmax, lambda form, q, k, v: scores(q, k).sigmoid() @ v),
    "squares of what is positive": (errors.NoSoftmax, lambda form, q, k, v: scores(q, k).relu() ** 2 @ v),
    "sigmoids over their sum": (errors.NoSoftmax, lambda form, q, k, v: F.normalize(scores(q, k).sigmoid(), 1, -1) @ v),
    "no function at all": (errors.NoSoftmax, lambda form, q, k, v: scores(q, k) @ v),
    "linear": (errors.NoSoftmax, lambda form, q, k, v: (F.elu(q) + 1) @ ((F.elu(k) + 1).mT @ v)),
    "divided after the values": (
        errors.NoSoftmax, lambda form, q, k, v: scores(q, k).exp() @ v / scores(q, k).exp().sum(-1, keepdim=True),
    ),
    "additive": (errors.OtherScores, additive),
    "distances": (errors.OtherScores, lambda form, q, k, v: (-torch.cdist(q, k)).softmax(-1) @ v),
    "heads mixed before the softmax": (
        errors.AttentionLost,
        lambda form, q, k, v: torch.einsum("bhqk,hg->bgqk", scores(q, k), form.heads).softmax(-1) @ v,
    ),
    "several products in one softmax": (errors.AttentionLost, lambda form, q, k, v: several(q, k) @ v),
    "several products, taken apart again": (
        errors.AttentionLost,
        lambda form, q, k, v: several(q, k)[..., :2] @ v[:, :, :2] + several(q, k)[..., 2:] @ v[:, :, 2:],
    ),
    "cell by cell": (
        errors.MixedByCell, lambda form, q, k, v: (scores(q, k).softmax(-1)[..., None] * v[:, :, None]).sum(3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", NAMED)
def test_another_form_is_refused_alone_and_said_beside_others(form: str):
    torch.manual_seed(0)
    kind, mix = NAMED[form]
    module = nn.ModuleDict({"usual": Attention(), "other": Form(mix)}).eval()
    x = torch.randn(1, N, D)
    with pytest.raises(kind, match="other"):
        instrument(module, forward=lambda x: module["other"](x)).trace(x)
    trace = instrument(module, forward=lambda x: module["other"](module["usual"](x))).trace(x)
    assert [str(site) for site in trace.sites] == ["encoder.0.self"] and trace.facts["missing"] == ["other"]


class Experts(nn.Module):
    """A router's softmax over experts: no row is mixed with another (Shazeer et al. 2017, equation 1)."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(D, N), nn.Parameter(torch.randn(N, D, D))

    def forward(self, x: Tensor) -> Tensor:
        made = torch.einsum("bnd,edf->bnef", x, self.experts)
        return (self.gate(x).softmax(-1)[:, :, None] @ made)[:, :, 0]


SIMILARITY = {
    "experts": lambda module, x: module["experts"](x),
    "similarities": lambda module, x: F.normalize(x, dim=-1) @ F.normalize(x, dim=-1).mT,
    "rotations": lambda module, x: x @ torch.linalg.matrix_exp(torch.randn(D, D)),
    "gates": lambda module, x: x * (x @ x.mT).mean(-1, keepdim=True).sigmoid(),
}


@pytest.mark.parametrize("beside", SIMILARITY)
def test_what_mixes_no_rows_is_no_attention(beside: str):
    torch.manual_seed(0)
    module = nn.ModuleDict({"usual": Attention(), "experts": Experts()}).eval()
    forward = lambda x: SIMILARITY[beside](module, module["usual"](x))  # noqa: E731
    assert not instrument(module, forward=forward).trace(torch.randn(1, N, D)).facts.get("missing")


def mean_pool(x: Tensor) -> Tensor:
    return x.mean(-1, keepdim=True).tanh().softmax(1)


POOLED = {
    "one by one": lambda x: (mean_pool(x) * x).sum(1),
    "by a product": lambda x: mean_pool(x).mT @ x,
    "over the last axis": lambda x: mean_pool(x).squeeze(-1).unsqueeze(1) @ x,
    "by an einsum": lambda x: torch.einsum("bn,bnd->bd", x.mean(-1).tanh().softmax(-1), x),
    "query times key, cell by cell": lambda x: ((x[:, -1:] * x).sum(-1).softmax(-1)[..., None] * x).sum(1),
}


class Pool(nn.Module):
    def __init__(self, pool: Callable[[Tensor], Tensor]):
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x)


@pytest.mark.parametrize("pool", POOLED)
def test_pooling_by_a_softmax_over_positions_is_said(pool: str):
    torch.manual_seed(0)
    module = nn.ModuleDict({"usual": Attention(), "pool": Pool(POOLED[pool])}).eval()
    x = torch.randn(1, N, D)
    trace = instrument(module, forward=lambda x: module["pool"](module["usual"](x))).trace(x)
    assert [str(site) for site in trace.sites] == ["encoder.0.self"] and trace.facts["missing"] == ["pool"]
    with pytest.raises(errors.OtherScores, match="pool"):
        instrument(module, forward=lambda x: module["pool"](x)).trace(x)


WRITTEN_AS = {
    "powers of two": lambda s: (s * math.log2(math.e)).exp2() / (s * math.log2(math.e)).exp2().sum(-1, keepdim=True),
    "a column of 0": lambda s: F.pad(s, (1, 0)).softmax(-1)[..., 1:],
    "padded and cut": lambda s: F.pad(s, (0, 2))[..., :-2].softmax(-1),
}


@pytest.mark.parametrize("way", WRITTEN_AS)
def test_a_softmax_as_kernels_write_it(way: str):
    torch.manual_seed(0)
    module = Form(lambda form, q, k, v: WRITTEN_AS[way](scores(q, k)) @ v).eval()
    trace = instrument(module).trace(torch.randn(1, N, D))
    beside = [torch.zeros(1, 1, 1)] if "column" in way else []
    got = torch.stack([trace.weights("encoder.0.self", head) for head in range(H)]).double()
    torch.testing.assert_close(got, softmax(module.kept, *beside).detach(), atol=1e-6, rtol=0)
    assert trace.fidelity().holds and not trace.facts.get("missing")


def by_queries(form: Form, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    heads = []
    for h in range(H):
        rows = [(k[0, h] @ q[0, h, j] / math.sqrt(D_K)).softmax(-1) @ v[0, h] for j in range(N)]
        heads.append(torch.stack(rows))
    return torch.stack(heads)[None]


def runs_of_heads(form: Form, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    runs = [
        torch.cat([scores(part[:, h : h + 1], k[:, h : h + 1]).softmax(-1) @ v[:, h : h + 1] for h in range(H)], 1)
        for part in q.split([1, 3, 2], 2)
    ]
    return torch.cat(runs, 2)


@pytest.mark.parametrize("mix", [by_queries, runs_of_heads])
def test_queries_and_heads_one_by_one_are_one_attention(mix: Callable):
    torch.manual_seed(0)
    module = Form(mix).eval()
    trace = instrument(module).trace(torch.randn(1, N, D))
    record = trace.record("encoder.0.self")
    assert [str(site) for site in trace.sites] == ["encoder.0.self"]
    assert (record.heads, record.queries, record.keys) == (H, N, N)
    got = torch.stack([record.weights(head) for head in range(H)]).double()
    torch.testing.assert_close(got, softmax(module.kept).detach(), atol=1e-6, rtol=0)
    assert trace.fidelity().holds and trace.tokens("encoder") == [str(i) for i in range(N)]


def test_a_sigmoid_is_no_softmax_in_half_precision():
    torch.manual_seed(0)
    module = Form(lambda form, q, k, v: (scores(q, k) - 4).sigmoid() @ v).eval().to(torch.bfloat16)
    with pytest.raises(errors.NoSoftmax):
        instrument(module).trace(torch.randn(1, N, D, dtype=torch.bfloat16))


HYPER = {
    "matrices made of the text": lambda x: torch.relu(x @ x.mean(1).view(1, D, 1)) @ x[:, 0].view(1, 1, D),
    "similarity after a gate": lambda x: (y := x * (x @ x.mT).mean(-1, keepdim=True).sigmoid()) @ y.mT,
}


@pytest.mark.parametrize("form", HYPER)
def test_products_along_features_are_no_attention(form: str):
    torch.manual_seed(0)
    module = Attention().eval()
    assert (
        not instrument(module, forward=lambda x: HYPER[form](module(x)))
        .trace(torch.randn(1, N, D))
        .facts.get("missing")
    )
