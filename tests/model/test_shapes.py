"""Decoder only, encoder only and attention only: our Transformer in its other shapes, against numpy and torch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from model.residual import stream
from model.trace.fidelity import check
from model.trace.record_own import KINDS, attention_parameters, record_run
from model.trace.trace import Side, Trace, TraceKey
from model.transformer.config import NORMS, POSITIONS
from model.transformer.encoder_decoder import Transformer
from tests.model import naive, tiny
from tests.model.test_parity import copy_layer, copy_norm, options

pytestmark = pytest.mark.float32

DECODER, ENCODER = {"encoder_layers": 0}, {"decoder_layers": 0}
SHAPES = {"decoder": DECODER, "encoder": ENCODER, "both": {}}
SOURCE, TARGET = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0], [1, 4, 5, 6, 7, 8, 9]


def made(shape: str, **changes: object) -> Transformer:
    torch.manual_seed(3)
    return tiny.shaken(Transformer(tiny.config(**SHAPES[shape], **changes)).double()).eval()


def ids(shape: str) -> tuple[list[int] | None, list[int] | None]:
    return (None if shape == "decoder" else SOURCE), (None if shape == "encoder" else TARGET)


def tensors(shape: str) -> list[torch.Tensor | None]:
    return [None if each is None else torch.tensor(each) for each in ids(shape)]


@pytest.mark.parametrize("d_ff", [24, 0])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_quantity_of_every_shape_equals_the_formulas(shape: str, positions: str, norm: str, d_ff: int) -> None:
    module = made(shape, positions=positions, norm=norm, d_ff=d_ff)
    want = naive.Run(module.state_dict(), module.config.to_dict(), *ids(shape)).got
    store, attention = record_run(module, *tensors(shape))
    kinds = {"decoder": ["self"], "encoder": ["self"], "both": ["self", "cross"]}[shape]
    stacks = ["encoder", "decoder"] if shape == "both" else [shape]
    sites = [f"{s}.{i}.{k}" for s in stacks for i in range(2) for k in (kinds if s == "decoder" else ["self"])]
    assert [str(site) for site in attention] == sites
    compared = set(want) & set(store.names())
    assert {"logits", *(f"{site}.context" for site in sites), *(f"{site}.residual" for site in sites)} <= compared
    assert any(".ffn." in name for name in compared) == bool(d_ff)
    for name in compared:
        np.testing.assert_allclose(store[name].numpy(), want[name], atol=1e-12, rtol=0, err_msg=name)
    for site, record in attention.items():
        parameters = attention_parameters(module)
        found = check(record, parameters[f"{site}.W_O"], parameters[f"{site}.b_O"])
        assert found is not None and found.relative <= 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", ["decoder", "encoder"])
def test_one_stack_alone_equals_torchs_encoder(shape: str, norm: str) -> None:
    """torch has no decoder without cross-attention: its encoder with a causal mask is one."""
    ours = made(shape, norm=norm)
    c, pre = ours.config, norm == "pre"
    layer = nn.TransformerEncoderLayer(c.d_model, c.heads, **options(norm)).double()
    theirs = nn.TransformerEncoder(
        layer, 2, nn.LayerNorm(c.d_model).double() if pre else None, enable_nested_tensor=False
    )
    for their_layer, our_layer in zip(theirs.layers, getattr(ours, shape), strict=True):
        copy_layer(their_layer, our_layer)
    if pre:
        copy_norm(theirs.norm, getattr(ours, f"{shape}_norm"))
    given = torch.tensor([SOURCE if shape == "encoder" else TARGET])
    side = ours.source if shape == "encoder" else ours.target
    x = side.tokens.weight[given] * 4 + torch.tensor(naive.sinusoid(given.shape[1], 16))
    later = torch.ones(given.shape[1], given.shape[1], dtype=torch.bool).triu(1) if shape == "decoder" else None
    final = theirs.eval()(x, mask=later, src_key_padding_mask=given == 0)
    real = given[0] != 0
    want = (final @ ours.project.weight.T + ours.project.bias)[0, real]
    got = ours(source=given) if shape == "encoder" else ours(target=given)
    torch.testing.assert_close(got[0, real], want, atol=1e-12, rtol=0)


@pytest.mark.parametrize("d_ff", [24, 0])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_residual_stream_of_every_shape_is_what_its_sub_layers_add(shape: str, norm: str, d_ff: int) -> None:
    module = made(shape, norm=norm, d_ff=d_ff)
    source, target = tensors(shape)
    store, attention = record_run(module, source, target)
    given = {"encoder": source, "decoder": target}
    sides = {name: Side(tuple(map(str, each.tolist())), tuple(each.tolist()), (False,) * len(each))
             for name, each in given.items() if each is not None}  # fmt: skip
    trace = Trace(TraceKey("tiny", "0", "", None, ()), sides, attention, store, (), {"norm": norm})
    assert stream.own(trace) and stream.stacks(trace) == tuple(sides)
    for stack in sides:
        crosses = stack == "decoder" and shape == "both"
        wanted = [k for k in KINDS if (k != "cross" or crosses) and (k != "ffn" or d_ff)]
        assert stream.sublayers(trace, stack) == [f"{stack}.{i}.{kind}" for i in range(2) for kind in wanted]
        assert len(stream.streams(trace, stack)) == 3
        for added in stream.additions(trace, stack):
            assert added.error <= added.limit, added.name


def test_a_side_that_is_not_there_is_not_read() -> None:
    with pytest.raises(ValueError, match="reads target ids, and was given source and target"):
        made("decoder")(torch.tensor([SOURCE]), torch.tensor([TARGET]))
    with pytest.raises(ValueError, match="reads source and target ids, and was given source"):
        made("both")(torch.tensor([SOURCE]))


@pytest.mark.parametrize("shape", ["decoder", "encoder"])
@pytest.mark.parametrize("d_ff", [24, 0])
def test_gradients_reach_every_parameter_of_a_stack_alone(shape: str, d_ff: int) -> None:
    module = made(shape, d_ff=d_ff, dropout=0.0).train()
    module(*[None if each is None else each[None] for each in tensors(shape)]).square().sum().backward()
    still = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert [name for name in still if not name.endswith("W_K.bias")] == []
