"""Each part against torch's own module, in float64 to 1e-12; the whole against torch's and against `naive`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from model.transformer.attention import MultiHeadAttention, attend
from model.transformer.config import NORMS, POSITIONS
from model.transformer.encoder_decoder import Transformer
from model.transformer.hook_points import run_with_hooks
from model.transformer.layers import DecoderLayer, EncoderLayer, FeedForward, LayerNorm
from model.transformer.masks import RuleMask
from tests import bounds
from tests.model import naive, tiny

pytestmark = pytest.mark.float32

EXACT = {"atol": 1e-12, "rtol": 0}
FREE = RuleMask()


@pytest.fixture(autouse=True)
def float64():
    """torch's fused inference path is switched off: its plain path is the reference."""
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)
    torch.set_default_dtype(torch.float32)


def copy_attention(theirs: nn.MultiheadAttention, ours: MultiHeadAttention) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.W_Q.weight, ours.W_K.weight, ours.W_V.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.W_Q.bias, ours.W_K.bias, ours.W_V.bias]))
        theirs.out_proj.weight.copy_(ours.W_O.weight)
        theirs.out_proj.bias.copy_(ours.W_O.bias)


def copy_layer(theirs: nn.Module, ours: EncoderLayer | DecoderLayer) -> None:
    copy_attention(theirs.self_attn, ours.self_attention)
    norms = [ours.self_add, ours.ffn_add]
    if isinstance(ours, DecoderLayer) and ours.cross_attention is not None:
        copy_attention(theirs.multihead_attn, ours.cross_attention)
        norms.insert(1, ours.cross_add)
    theirs.linear1.load_state_dict(ours.ffn.W_1.state_dict())
    theirs.linear2.load_state_dict(ours.ffn.W_2.state_dict())
    for i, add in enumerate(norms, start=1):
        copy_norm(getattr(theirs, f"norm{i}"), add.layer_norm)


def copy_norm(theirs: nn.LayerNorm, ours: LayerNorm) -> None:
    theirs.load_state_dict({"weight": ours.gamma, "bias": ours.beta})


def pads(lengths: list[int], longest: int) -> torch.Tensor:
    """bool [b, k], True where the key is real."""
    return torch.arange(longest)[None] < torch.tensor(lengths)[:, None]


def options(norm: str) -> dict:
    return {"dim_feedforward": 24, "dropout": 0.0, "batch_first": True, "norm_first": norm == "pre"}


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 6), (5, 1), (5, 6), (6, 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_torch(heads: int, queries: int, keys: int, masked: bool):
    ours = tiny.shaken(MultiHeadAttention(16, heads)).eval()
    theirs = nn.MultiheadAttention(16, heads, batch_first=True).eval()
    copy_attention(theirs, ours)
    x, y = torch.randn(3, queries, 16), torch.randn(3, keys, 16)
    real = pads([keys, max(1, keys - 1), 1], keys) if masked else None
    with torch.no_grad():
        got = ours(x, y, RuleMask(keys=real))
        want, weights = theirs(x, y, y, key_padding_mask=None if real is None else ~real, average_attn_weights=False)
        _, lse = attend(*(ours.split(W(s)) for W, s in ((ours.W_Q, x), (ours.W_K, y), (ours.W_V, y))),
                        ours.scale, RuleMask(keys=real))  # fmt: skip
        scores = ours.split(ours.W_Q(x)) @ ours.split(ours.W_K(y)).mT * ours.d_k**-0.5
    torch.testing.assert_close(got, want, **EXACT)
    seen = weights > 0
    torch.testing.assert_close((scores - lse[..., None]).exp()[seen], weights[seen], **EXACT)


@pytest.mark.parametrize("norm", NORMS)
def test_encoder_layer_equals_torch(norm: str):
    ours = tiny.shaken(EncoderLayer(tiny.config(positions="none", norm=norm))).eval()
    theirs = nn.TransformerEncoderLayer(16, 4, **options(norm)).eval()
    copy_layer(theirs, ours)
    x, real = torch.randn(3, 7, 16), pads([7, 4, 1], 7)
    torch.testing.assert_close(ours(x, FREE), theirs(x), **EXACT)
    torch.testing.assert_close(ours(x, RuleMask(keys=real)), theirs(x, src_key_padding_mask=~real), **EXACT)


@pytest.mark.parametrize("norm", NORMS)
def test_decoder_layer_equals_torch(norm: str):
    ours = tiny.shaken(DecoderLayer(tiny.config(positions="none", norm=norm))).eval()
    theirs = nn.TransformerDecoderLayer(16, 4, **options(norm)).eval()
    copy_layer(theirs, ours)
    x, memory, real = torch.randn(3, 5, 16), torch.randn(3, 7, 16), pads([7, 4, 1], 7)
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    got = ours(x, memory, RuleMask(causal=True, keys=pads([5, 5, 2], 5)), RuleMask(keys=real))
    want = theirs(x, memory, tgt_mask=later, tgt_key_padding_mask=~pads([5, 5, 2], 5), memory_key_padding_mask=~real)
    torch.testing.assert_close(got, want, **EXACT)
    torch.testing.assert_close(ours(x, memory, RuleMask(causal=True), FREE), theirs(x, memory, tgt_mask=later), **EXACT)


def test_layer_norm_equals_its_formula_and_torch():
    ours, theirs, x = tiny.shaken(LayerNorm(9)), nn.LayerNorm(9), torch.randn(2, 5, 9) * 30 + 4
    copy_norm(theirs, ours)
    centred = x - x.sum(-1, keepdim=True) / 9
    formula = centred / torch.sqrt((centred**2).sum(-1, keepdim=True) / 9 + 1e-5) * ours.gamma + ours.beta
    torch.testing.assert_close(ours(x), formula, **EXACT)
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)


def test_feed_forward_is_equation_2():
    ours, x = tiny.shaken(FeedForward(6, 10, 0.0)), torch.randn(2, 3, 6)
    hidden = torch.einsum("bnd,fd->bnf", x, ours.W_1.weight) + ours.W_1.bias
    hidden = torch.where(hidden > 0, hidden, torch.zeros(()))
    want = torch.einsum("bnf,df->bnd", hidden, ours.W_2.weight) + ours.W_2.bias
    torch.testing.assert_close(ours(x), want, **EXACT)


def assembled(ours: Transformer) -> nn.Transformer:
    """torch's Transformer with our weights; it has closing norms in pre-LN only, as ours."""
    c = ours.config
    pre = c.norm == "pre"
    layer = nn.TransformerEncoderLayer(c.d_model, c.heads, **options(c.norm))
    encoder = nn.TransformerEncoder(
        layer, c.encoder_layers, nn.LayerNorm(c.d_model) if pre else None, enable_nested_tensor=False
    )
    layer = nn.TransformerDecoderLayer(c.d_model, c.heads, **options(c.norm))
    decoder = nn.TransformerDecoder(layer, c.decoder_layers, nn.LayerNorm(c.d_model) if pre else None)
    theirs = nn.Transformer(c.d_model, c.heads, custom_encoder=encoder, custom_decoder=decoder, batch_first=True)
    for name in ("encoder", "decoder"):
        for their_layer, our_layer in zip(getattr(theirs, name).layers, getattr(ours, name), strict=True):
            copy_layer(their_layer, our_layer)
        if pre:
            copy_norm(getattr(theirs, name).norm, getattr(ours, f"{name}_norm"))
    return theirs.eval()


@pytest.mark.parametrize("norm", NORMS)
def test_transformer_equals_torch(norm: str):
    ours = tiny.shaken(Transformer(tiny.config(norm=norm))).eval()
    theirs = assembled(ours)
    source = torch.tensor([[1, 2, 3, 4, 5, 6, 7], [8, 9, 1, 1, 0, 0, 0]])
    target = torch.tensor([[1, 4, 5, 6], [2, 9, 0, 0]])
    tables = {n: torch.tensor(naive.sinusoid(n, 16)) for n in (7, 4)}
    x = ours.source.tokens.weight[source] * 4 + tables[7]
    y = ours.target.tokens.weight[target] * 4 + tables[4]
    later = torch.ones(4, 4, dtype=torch.bool).triu(1)
    final = theirs(
        x, y, tgt_mask=later, src_key_padding_mask=source == 0, tgt_key_padding_mask=target == 0,
        memory_key_padding_mask=source == 0,
    )  # fmt: skip
    want = final @ ours.project.weight.T + ours.project.bias
    torch.testing.assert_close(ours(source, target), want, **EXACT)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_transformer_equals_the_papers(positions: str, norm: str):
    ours = tiny.shaken(Transformer(tiny.config(positions=positions, norm=norm))).eval()
    source, target = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0], [1, 4, 5, 6, 7, 8, 9]
    want = naive.Run(ours.state_dict(), ours.config.to_dict(), source, target).got["logits"]
    for gradients in (True, False):  # two kernels: the one for training and the one for recording
        with torch.set_grad_enabled(gradients):
            got = ours(torch.tensor([source]), torch.tensor([target]))[0]
        np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-12, rtol=0)


def test_float32_stays_within_1e_5():
    ours = tiny.shaken(Transformer(tiny.config())).float().eval()
    source, target = list(range(1, 14)), list(range(4, 15))
    want = naive.Run(ours.state_dict(), ours.config.to_dict(), source, target).got["logits"]
    got = ours(torch.tensor([source]), torch.tensor([target]))[0]
    assert got.dtype == torch.float32
    bounds.close(got.detach().numpy(), want, 1024)


@pytest.mark.parametrize("positions", ["none", "relative", "alibi", "rotary"])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_fully_masked_row_attends_to_nothing(positions: str, gradients: bool):
    attention = tiny.shaken(MultiHeadAttention(16, 4, positions=positions)).eval()
    x = torch.randn(2, 3, 16, requires_grad=gradients)
    mask = RuleMask(causal=True, keys=torch.tensor([[False, True, True], [False, False, False]]))
    with torch.set_grad_enabled(gradients), run_with_hooks(attention) as heard:
        output = attention(x, x, mask)
    nothing = [(0, 0), (1, 0), (1, 1), (1, 2)]
    for example, row in nothing:
        torch.testing.assert_close(output[example, row], attention.W_O.bias, **EXACT)
        assert not heard["context"][example, :, row].any()
    assert output.isfinite().all()
    if gradients:
        output.sum().backward()
        assert all(p.grad.isfinite().all() for p in attention.parameters() if p.grad is not None)
        assert x.grad.isfinite().all()
        assert x.grad[0, 1].abs().max() > 0


def test_gradients_reach_every_parameter():
    for positions in POSITIONS:
        module = Transformer(tiny.config(positions=positions, dropout=0.0)).train()
        module(torch.tensor([[1, 2, 3, 0]]), torch.tensor([[1, 4, 5]])).square().sum().backward()
        still = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
        # A key bias adds the same to a whole row of scores, and softmax forgets it.
        assert [name for name in still if not name.endswith("W_K.bias")] == [], positions


def test_dropout_changes_the_output_but_not_what_stands_before_it():
    attention = MultiHeadAttention(16, 4, dropout=0.5).train()
    x = torch.randn(1, 6, 16)
    heard = []
    for _ in range(2):
        with torch.no_grad(), run_with_hooks(attention) as hooked:
            attention(x, x, FREE)
        heard.append(hooked)
    for name in ("q", "k", "v"):
        assert torch.equal(heard[0][name], heard[1][name])
    assert not torch.equal(heard[0]["output"], heard[1]["output"])
    relative = MultiHeadAttention(16, 4, dropout=0.5, positions="relative").train()
    with torch.no_grad(), run_with_hooks(relative) as hooked:
        relative(x, x, FREE)
    with torch.no_grad(), run_with_hooks(relative.eval()) as plain:
        relative(x, x, FREE)
    # The log-sum-exp is the softmax's own, so the recorded weights are those before dropout.
    assert torch.equal(hooked["lse"], plain["lse"])
    assert not torch.equal(hooked["context"], plain["context"])
