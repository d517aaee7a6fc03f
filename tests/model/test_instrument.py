"""Modules of torch.nn, recorded: against the weights they return themselves when asked once more."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from model import instrument
from tests import bounds
from tests.model.recorded import DTYPES, faithful, own_weights, same, sharp

pytestmark = pytest.mark.float32


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def unlike(dtype: torch.dtype, batch_first: bool) -> nn.Transformer:
    """Two encoder layers of 4 heads, three decoder layers of 2."""
    options = {"dim_feedforward": 24, "batch_first": batch_first}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, **options), 2, enable_nested_tensor=False)
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, **options), 3)
    return sharp(nn.Transformer(16, custom_encoder=encoder, custom_decoder=decoder, batch_first=batch_first), dtype)


@DTYPES
@pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")  # a boolean padding and an additive mask
@pytest.mark.parametrize("batch_first", [True, False])
def test_nn_transformer_of_two_depths(dtype: torch.dtype, batch_first: bool):
    module = unlike(dtype, batch_first)
    source, target = torch.randn(1, 7, 16, dtype=dtype), torch.randn(1, 5, 16, dtype=dtype)
    if not batch_first:
        source, target = source.transpose(0, 1), target.transpose(0, 1)
    padding = torch.tensor([[False] * 5 + [True] * 2])
    causal = nn.Transformer.generate_square_subsequent_mask(5, dtype=dtype)
    given = {"tgt_mask": causal, "src_key_padding_mask": padding, "memory_key_padding_mask": padding}
    trace = instrument(module).trace(source, target, **given)
    wanted = own_weights(module, source, target, **given)
    depths = [f"encoder.{i}.self" for i in range(2)] + [f"decoder.{i}.{k}" for i in range(3) for k in ("self", "cross")]
    assert [str(site) for site in trace.sites] == depths
    for site, path in trace.facts["modules"].items():
        same(trace, site, wanted[path], dtype)
    faithful(trace, dtype)
    assert trace.record("decoder.1.self").mask.causal and trace.record("decoder.1.self").mask.keys is None
    assert trace.record("decoder.2.cross").mask.keys.tolist() == (~padding[0]).tolist()
    assert {side: len(found.tokens) for side, found in trace.sides.items()} == {"encoder": 7, "decoder": 5}
    memory = module.encoder.layers[0](source, src_key_padding_mask=padding).detach()
    bounds.close(trace.activation("encoder.1.stream"), memory.reshape(7, 16), 1024)


def test_the_fast_path_of_the_encoder_is_opened_and_left_as_it_was():
    module = sharp(nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 24, batch_first=True), 2))
    x = torch.randn(1, 6, 16, dtype=torch.float64)
    assert torch.backends.mha.get_fastpath_enabled()
    trace = instrument(module).trace(x)
    assert torch.backends.mha.get_fastpath_enabled()
    wanted = own_weights(module, x)
    assert len(wanted) == len(trace.sites) == 2
    for site, path in trace.facts["modules"].items():
        same(trace, site, wanted[path])
    faithful(trace)


def test_an_encoder_class_with_a_causal_mask_is_a_decoder():
    module = sharp(nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 24, batch_first=True), 2))
    mask = torch.ones(6, 6).triu(1).bool()
    trace = instrument(module).trace(torch.randn(1, 6, 16, dtype=torch.float64), mask=mask)
    assert [str(site) for site in trace.sites] == ["decoder.0.self", "decoder.1.self"]


def test_a_decoder_alone_has_the_memory_for_its_other_side():
    layer = nn.TransformerDecoderLayer(16, 2, 24, batch_first=True)
    module = sharp(nn.TransformerDecoder(layer, 2))
    x, memory = (torch.randn(1, n, 16, dtype=torch.float64) for n in (4, 4))
    trace = instrument(module).trace(x, memory)  # no causal mask, and as many keys as queries
    assert [str(site) for site in trace.sites] == [
        f"decoder.{i}.{kind}" for i in range(2) for kind in ("self", "cross")
    ]
    wanted = own_weights(module, x, memory)
    for site, path in trace.facts["modules"].items():
        same(trace, site, wanted[path])
    assert set(trace.sides) == {"encoder", "decoder"}


def test_names_that_say_nothing():
    """Own names throughout: cross-attention by where its keys come from, the decoder's layers by having one."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            x = x + self.a(x, x, x)[0]
            return x + self.b(x, y, y)[0]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.ModuleList([nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2)])
            self.two = nn.ModuleList([Block(), Block()])

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            for part in self.one:
                y = y + part(y, y, y)[0]
            for part in self.two:
                x = part(x, y)
            return x

    trace = instrument(Model().eval()).trace(torch.randn(1, 5, 8), torch.randn(1, 5, 8))
    assert [str(site) for site in trace.sites] == [
        "encoder.0.self", "encoder.1.self", "decoder.0.self", "decoder.0.cross", "decoder.1.self", "decoder.1.cross",
    ]  # fmt: skip
    assert sorted(name for name in trace.store.names() if "stream" in name) == [
        "decoder.0.stream", "decoder.1.stream", "decoder.2.stream",
    ]  # fmt: skip  # the encoder's residual is outside of its numbered modules


@DTYPES
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_multihead_attention_returns_the_weights_that_are_recorded(
    dtype: torch.dtype, need_weights: bool, batch_first: bool
):
    module = sharp(nn.MultiheadAttention(16, 4, kdim=5, vdim=6, batch_first=batch_first), dtype)
    q, k, v = (torch.randn(1, n, d, dtype=dtype) for n, d in ((4, 16), (6, 5), (6, 6)))
    if not batch_first:
        q, k, v = (t.transpose(0, 1) for t in (q, k, v))
    hidden = torch.rand(4, 6) > 0.6  # no run of keys a row
    hidden[:, 2] = False
    trace = instrument(module).trace(q, k, v, need_weights=need_weights, attn_mask=hidden)
    wanted = module(q, k, v, attn_mask=hidden, average_attn_weights=False)[1][0].detach()
    same(trace, "decoder.0.cross", wanted, dtype)
    faithful(trace, dtype)
    assert trace.record("decoder.0.cross").scale == pytest.approx(0.5)
    bounds.close(trace.record("decoder.0.cross").q, _projected(module, q), 1024)


def _projected(module: nn.MultiheadAttention, q: Tensor) -> Tensor:
    rows = q.reshape(-1, 16) @ module.q_proj_weight.detach().T + module.in_proj_bias.detach()[:16]
    return rows.unflatten(-1, (4, 4)).transpose(0, 1)


def test_self_attention_is_told_by_where_queries_and_keys_come_from():
    module, x = sharp(nn.MultiheadAttention(8, 2)), torch.randn(5, 1, 8, dtype=torch.float64)
    y = torch.randn(5, 1, 8, dtype=torch.float64)
    for need_weights in (True, False):
        assert str(instrument(module).trace(x, x, x, need_weights=need_weights).sites[0]) == "encoder.0.self"
        assert str(instrument(module).trace(x, y, y, need_weights=need_weights).sites[0]) == "decoder.0.cross"


def test_a_mask_of_its_own_for_each_head():
    module = sharp(nn.MultiheadAttention(8, 2, batch_first=True))
    x, mask = torch.randn(1, 4, 8, dtype=torch.float64), torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :, 1], mask[:, 2, 3] = True, True
    wanted = module(x, x, x, attn_mask=mask, average_attn_weights=False)[1][0].detach()
    for need_weights in (True, False):
        trace = instrument(module).trace(x, x, x, attn_mask=mask, need_weights=need_weights)
        same(trace, "encoder.0.self", wanted)
        assert trace.record("encoder.0.self").allowed()[2].tolist() == [True, True, True, False]


def test_a_module_called_twice_is_two_layers():
    layer = sharp(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True))
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    trace = instrument(layer, forward=lambda x: layer(layer(x))).trace(x)
    assert [str(site) for site in trace.sites] == ["encoder.0.self", "encoder.1.self"]
    same(trace, "encoder.1.self", own_weights(layer, layer(x).detach())["self_attn"])
