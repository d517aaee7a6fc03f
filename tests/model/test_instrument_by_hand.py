"""Attention that people write themselves, recorded: against the weights that their module kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from model import instrument
from model.errors import HeadlightError
from tests import bounds
from tests.model import foreign
from tests.model.recorded import DTYPES, faithful, recorded, same, sharp

pytestmark = pytest.mark.float32


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@DTYPES
def test_a_hand_written_encoder_decoder_with_layers_taken_out(dtype: torch.dtype):
    module = sharp(foreign.EncoderDecoder(), dtype)
    source, target = torch.tensor([[3, 4, 5, 6, 0]]), torch.tensor([[1, 2, 3, 4]])
    vocabulary = [f"w{i}" for i in range(13)]
    trace = instrument(module, vocabulary).trace(source, target)
    for site, path in trace.facts["modules"].items():
        same(trace, site, module.get_submodule(path).attn[0].detach(), dtype)
    faithful(trace, dtype)
    assert [record.heads for record in trace.attention.values()] == [2, 4, 4, 4, 1, 1, 8, 8]
    assert trace.tokens("encoder") == ["w3", "w4", "w5", "w6", "w0"] and trace.token_ids("decoder") == [1, 2, 3, 4]
    assert trace.record("encoder.2.self").mask.keys.tolist() == [True] * 4 + [False]
    assert torch.equal(trace.logits, module(source, target)[0].detach())
    assert trace.fidelity().logits_error == 0.0
    best = int(trace.logits[-1].argmax())
    assert trace.written() == ["w2", "w3", "w4", f"w{best}"] and trace.next_tokens()[0][1] == best
    linear = module.decoder.layers[3].src_attn.linears[-1]
    assert torch.equal(trace.parameter("decoder.3.cross", "W_O"), linear.weight.T)
    assert torch.equal(trace.parameter("decoder.3.cross", "b_O"), linear.bias)


@DTYPES
@pytest.mark.parametrize("order", ["qk", "kq"])
def test_einsum(dtype: torch.dtype, order: str):
    module = foreign.Einsum(order=order)
    trace = recorded(module, 12, dtype=dtype)
    same(trace, "encoder.0.self", module.weights[0].detach(), dtype)
    assert trace.record("encoder.0.self").scale == 0.5


def test_shared_keys_are_kept_once():
    by_hand, fused = foreign.Grouped(False), foreign.Grouped(True)
    fused.load_state_dict(by_hand.state_dict())
    x = torch.randn(1, 7, 24, dtype=torch.float64)
    traces = [instrument(module.double().eval()).trace(x) for module in (by_hand, fused)]
    for trace in traces:
        same(trace, "decoder.0.self", by_hand.weights[0].detach())
        faithful(trace)
        record = trace.record("decoder.0.self")
        assert (record.heads, record.groups, record.scale) == (6, 3, 0.5)
        assert record.mask.causal and record.mask.keys is None


@DTYPES
@pytest.mark.parametrize("toeplitz", [True, False])
def test_a_bias_is_kept_as_small_as_it_is(dtype: torch.dtype, toeplitz: bool):
    module = foreign.Biased(toeplitz)
    trace = recorded(module, 8, dtype=dtype)
    same(trace, "encoder.0.self", module.weights[0].detach(), dtype)
    assert trace.record("encoder.0.self").scale == 1
    name = "bias_offsets" if toeplitz else "bias"
    table = module.table.weight.detach().T
    offsets, (i, j) = torch.arange(1, 14), (torch.arange(7)[:, None], torch.arange(7)[None])
    wanted = table[:, offsets] if toeplitz else table[:, (i * j) % 64]
    assert torch.equal(trace.activation(f"encoder.0.self.{name}"), wanted)


def test_heads_one_by_one_become_one_call():
    module = foreign.HeadByHead()
    trace = recorded(module, 12)
    assert [str(site) for site in trace.sites] == ["decoder.0.self"]
    same(trace, "decoder.0.self", torch.cat([head.weights for head in module.heads]).detach())
    assert not any("stream" in name for name in trace.store.names())  # a head is numbered, and no layer


@DTYPES
@pytest.mark.parametrize("how", ["cap", "temperature", "gate"])
def test_what_else_is_done_to_scores(dtype: torch.dtype, how: str):
    module = foreign.Gated(how)
    trace = recorded(module, 8, dtype=dtype)
    same(trace, "decoder.0.self", module.weights[0].detach(), dtype)
    record = trace.record("decoder.0.self")
    assert record.softcap == (1.5 if how == "cap" else None)
    assert ("decoder.0.self.bias" in trace.store) == (how == "gate")
    assert record.scale == pytest.approx(0.7) and record.mask.causal


def test_a_row_with_no_key_has_no_weights():
    """The fused function gives 0 for a row of −∞ alone; a row of finite low scores is even. The record says which."""

    def fused(q: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=mask)

    def even(q: Tensor, mask: Tensor) -> Tensor:
        return ((q @ q.transpose(-1, -2)).masked_fill(~mask, -1e9).softmax(-1)) @ q

    q = torch.randn(1, 2, 4, 8, dtype=torch.float64)
    mask = torch.ones(4, 4).tril(-1).bool()
    record = instrument(nn.Identity(), forward=fused).trace(q, mask).record("decoder.0.self")
    assert not record.weights(0)[0].any() and not record.weights(0, columns=slice(0, 2))[0].any()
    record = instrument(nn.Identity(), forward=even).trace(q, mask).record("encoder.0.self")
    torch.testing.assert_close(record.weights(0)[0], torch.full((4,), 0.25), atol=bounds.WEIGHT, rtol=0)
    low = torch.zeros(4, 4, dtype=torch.float64).masked_fill(~mask, -1e4)
    record = instrument(nn.Identity(), forward=fused).trace(q, low).record("encoder.0.self")
    wanted = (q[0, 0] @ q[0, 0].T * 8**-0.5 + low).softmax(-1)
    torch.testing.assert_close(record.weights(0, dtype=torch.float64), wanted, atol=1e-11, rtol=0)


def test_inference_mode_inside_the_module():
    class Asked(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = foreign.Einsum()

        @torch.inference_mode()
        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    module = Asked()
    trace = recorded(module, 12)
    same(trace, "encoder.0.self", module.inner.weights[0])


def test_what_changes_in_place_later_is_kept_as_it_was():
    class InPlace(foreign.Einsum):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            y += x
            return y.mul_(0)

    recorded(InPlace(), 12)


def test_a_router_is_not_attention():
    class Router(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = nn.Linear(8, 4), nn.Parameter(torch.randn(4, 8))

        def forward(self, x: Tensor) -> Tensor:
            return self.gate(x).softmax(-1) @ self.experts

    with pytest.raises(HeadlightError, match="No attention was seen in Router"):
        instrument(Router().eval()).trace(torch.randn(1, 5, 8))
