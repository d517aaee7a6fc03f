"""What a sub-layer put out is what its attention module returned: adapters on W_O, beside it, and a residual inside."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from model import instrument
from tests import bounds

pytestmark = pytest.mark.float32
D, H, N = 16, 4, 6


class Lora(nn.Module):
    """x W + b + s · (x A) B (Hu et al. 2021)."""

    def __init__(self, base: nn.Linear, rank: int = 2, scale: float = 2.0):
        super().__init__()
        self.base_layer, self.scale = base, scale
        self.A, self.B = nn.Linear(base.in_features, rank, bias=False), nn.Linear(rank, base.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base_layer(x) + self.scale * self.B(self.A(x))

    @property
    def effective(self) -> Tensor:
        return (self.base_layer.weight + self.scale * self.B.weight @ self.A.weight).T


class Gated(nn.Module):
    """What no matrix can say."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) * torch.sigmoid(self.base(x))


class SelfAttention(nn.Module):
    def __init__(self, out: nn.Module, fused: bool, beside: nn.Module | None = None, residual: bool = False):
        super().__init__()
        self.qkv, self.out, self.fused, self.beside, self.residual = nn.Linear(D, 3 * D), out, fused, beside, residual

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).view(1, -1, 3, H, D // H).permute(2, 0, 3, 1, 4)
        if self.fused:
            context = scaled_dot_product_attention(q, k, v)
        else:
            context = (q @ k.transpose(-1, -2) / math.sqrt(D // H)).softmax(-1) @ v
        found = self.out(context.transpose(1, 2).reshape(x.shape))
        found = found if self.beside is None else found + self.beside(x)
        return found + x if self.residual else found


class Block(nn.Module):
    """Attention written out in a block, whose result is no sub-layer's output."""

    def __init__(self):
        super().__init__()
        self.inner, self.norm = SelfAttention(nn.Linear(D, D), True), nn.LayerNorm(D)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.inner.qkv(x).view(1, -1, 3, H, D // H).permute(2, 0, 3, 1, 4)
        return self.norm(x + self.inner.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)))


@pytest.fixture(params=[True, False], ids=["fused", "by hand"])
def fused(request) -> bool:
    torch.manual_seed(0)
    return request.param


def traced(module: nn.Module):
    x = torch.randn(1, N, D, generator=torch.Generator().manual_seed(1))
    trace = instrument(module.eval()).trace(x)
    with torch.no_grad():
        return trace, trace.sites[0], module(x)[0]


def test_low_rank_adapters_on_w_o(fused: bool):
    module = SelfAttention(Lora(nn.Linear(D, D)), fused)
    trace, site, given = traced(module)
    bounds.close(trace.record(site).output, given, D)
    bounds.close(trace.parameter(site, "W_O"), module.out.effective.detach(), D)
    bounds.close(trace.parameter(site, "b_O"), module.out.base_layer.bias.detach(), D)
    assert trace.fidelity().holds and trace.fidelity().compared == {str(site): "output"}


@pytest.mark.parametrize("kind", ["beside", "gated"])
def test_what_is_no_matrix_has_no_w_o(kind: str, fused: bool):
    inside, beside = nn.Linear(D, D), nn.Sequential(nn.Linear(D, 2), nn.ReLU(), nn.Linear(2, D))
    gated = kind == "gated"
    module = SelfAttention(Gated(inside) if gated else inside, fused, None if gated else beside)
    trace, site, given = traced(module)
    bounds.close(trace.record(site).output, given, D)
    assert trace.parameter(site, "W_O") is None and trace.fidelity().compared == {str(site): "context"}
    assert trace.fidelity().holds


def test_a_residual_inside_is_not_the_output(fused: bool):
    module = SelfAttention(nn.Linear(D, D), fused, residual=True)
    trace, site, given = traced(module)
    x = torch.randn(1, N, D, generator=torch.Generator().manual_seed(1))[0]
    bounds.close(trace.record(site).output + x, given, D)
    bounds.close(trace.parameter(site, "W_O"), module.out.weight.T.detach(), D)


def test_a_block_that_holds_its_attention_itself():
    torch.manual_seed(0)
    module = Block()
    trace, site, _ = traced(module)
    bounds.close(trace.parameter(site, "W_O"), module.inner.out.weight.T.detach(), D)
    assert trace.fidelity().holds and trace.fidelity().compared == {str(site): "output"}


def test_a_library_model_with_adapters_in_memory():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
             "intermediate_size": 48, "vocab_size": 64, "max_position_embeddings": 64}  # fmt: skip
    from model.checkpoints.record import forward
    from model.checkpoints.record.untouched import untouched

    torch.manual_seed(0)
    own = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes)).eval()
    for layer in own.model.layers:
        layer.self_attn.o_proj, layer.self_attn.q_proj = Lora(layer.self_attn.o_proj), Lora(layer.self_attn.q_proj)
    given: list[Tensor] = []
    own.model.layers[1].self_attn.register_forward_hook(lambda _m, _i, out: given.append(out[0][0].detach()))
    with torch.no_grad():
        own(torch.tensor([[5, 6, 7, 8]]))
        recorded = forward.record(forward.prepare(untouched(own)), {"input_ids": torch.tensor([[5, 6, 7, 8]])})
    record = recorded.attention[forward.Site("decoder", 1, "self")]
    assert torch.equal(record.output, given[0])
    W_O = recorded.store[f"parameters/{record.site}.W_O"]
    bounds.close(W_O, own.model.layers[1].self_attn.o_proj.effective.detach(), 32)
