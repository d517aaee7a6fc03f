"""A library model's layers told apart: in + attention + feed-forward against the next stream, family by family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from model import Trace, instrument
from model.checkpoints.disk.families import FAMILIES, Family, rules_of, small_inputs, small_model
from model.checkpoints.record import forward, mlp_hooks
from model.residual import stream as residual_stream
from model.residual.additions import by_layer
from model.trace.trace import Side, TraceKey
from tests import bounds

pytestmark = pytest.mark.float32


def recorded(family: Family) -> tuple[torch.nn.Module, dict, dict[str, Trace]]:
    pytest.importorskip("transformers")
    module = forward.prepare(small_model(family, sharpen=1.0))
    given = small_inputs(family, bool(getattr(module.config, "is_encoder_decoder", False)))
    with torch.no_grad():
        found = forward.record(module, given)
    traces = {}
    for stack in sorted(found.stacks, reverse=True):
        n = found.store.shape(f"{stack}.0.stream")[0]
        side = Side(("a",) * n, (0,) * n, (False,) * n)
        traces[stack] = Trace(TraceKey("a", "b", "c"), {stack: side}, found.attention, found.store)
    return module, given, traces


def norm_of(family: Family, module: torch.nn.Module, stack: str) -> str:
    """Where the norms of a stack stand; the encoder and the decoder of TrOCR are of families of their own."""
    return family.norm or rules_of(getattr(module.config, stack).model_type).norm


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_layers_are_told_apart_where_the_sums_are_the_streams(family: Family) -> None:
    module, given, traces = recorded(family)
    for stack, trace in traces.items():
        names = residual_stream.streams(trace, stack)
        streams = [trace.activation(name).double().numpy() for name in names]
        with mlp_hooks.capture_outputs(module, tuple(traces), stack, len(names) - 1) as fed, torch.no_grad():
            forward.record(module, given)
        found = residual_stream.additions(trace, stack, None, fed)
        kinds = [item.name.rsplit(".", 1)[1] for item in found]
        # A norm behind the sum or behind a sub-layer, and experts, leave no sum of what was heard.
        plain = norm_of(family, module, stack) == "pre" and family.feed_forward != ""
        assert ("ffn" in kinds) == ("layer" not in kinds) == plain
        totals = {}
        for item in found:
            layer = int(item.name.split(".")[1])
            before = totals.get(layer, streams[layer]) if "ffn" in kinds else streams[layer]
            bounds.close(item.before, before, 64)
            totals[layer] = before + item.added.double().numpy()
            if item.name.endswith(".layer"):
                bounds.close(totals[layer], streams[layer + 1], 64)
            if item.error is not None:  # the last layer's where no norm stands behind it
                assert item.error == bounds.near(
                    np.abs(totals[layer] - streams[layer + 1]).max(), 4, size=streams[layer + 1]
                )
        if "ffn" in kinds:
            assert all(item.error is not None for item in found if item.name.endswith("ffn") and ".0." in item.name)
        one = residual_stream.additions(trace, stack, 3, fed)
        torch.testing.assert_close(torch.cat([i.added for i in one]), torch.stack([i.added[3] for i in found]))


def test_what_does_not_add_up_is_not_told_apart() -> None:
    module, given, traces = recorded(next(f for f in FAMILIES if f.model_type == "llama"))
    trace = traces["decoder"]
    names = residual_stream.streams(trace, "decoder")
    with mlp_hooks.capture_outputs(module, ("decoder",), "decoder", 2) as fed, torch.no_grad():
        forward.record(module, given)
    everywhere = slice(None)
    assert [i.name for i in by_layer(trace, "decoder", names, everywhere, fed)][1] == "decoder.0.ffn"
    wrong = {0: fed[0] + 0.01, 1: fed[1]}
    for other in (wrong, {0: fed[0]}, {1: fed[1]}, {0: fed[0][:-1], 1: fed[1]}, {}, None):
        assert [i.name for i in by_layer(trace, "decoder", names, everywhere, other)][1] == "decoder.0.layer"
    # One layer alone, whose stream may stand behind a norm, proves nothing.
    assert [i.name for i in by_layer(trace, "decoder", names[:2], everywhere, {0: fed[0]})][1] == "decoder.0.layer"
    assert not any(part._forward_hooks for part in mlp_hooks.projections(module).values())


def test_the_limit_is_of_all_tokens() -> None:
    """A token with numbers in the thousands leaves larger errors, also where another one is looked at."""
    module, given, traces = recorded(next(f for f in FAMILIES if f.model_type == "llama"))
    trace = traces["decoder"]
    with mlp_hooks.capture_outputs(module, ("decoder",), "decoder", 2) as fed, torch.no_grad():
        forward.record(module, given)
    for i in range(2):
        stream = trace.activation(f"decoder.{i}.stream").clone()
        stream[0] += 5000
        trace.store.add(f"decoder.{i}.stream", stream)
    item = residual_stream.additions(trace, "decoder", 3, fed)[1]
    assert item.name == "decoder.0.ffn" and 1e-5 < item.error <= item.limit
    assert item.limit == pytest.approx(bounds.off(trace.activation("decoder.1.stream"), 3), rel=1e-3)


@pytest.mark.parametrize("model_type", ["moonshine", "t5"])
def test_what_comes_into_a_cross_attention_is_what_its_norm_reads(model_type: str) -> None:
    """Where the sums do not tell it, the row is left out: the layer's own input is another vector."""
    module, given, traces = recorded(next(f for f in FAMILIES if f.model_type == model_type))
    norm = {
        "moonshine": "model.decoder.layers.{}.post_attention_layernorm",
        "t5": "decoder.block.{}.layer.1.layer_norm",
    }
    trace, heard = traces["decoder"], {}
    layers = len(residual_stream.streams(trace, "decoder")) - 1
    for layer in range(layers):
        module.get_submodule(norm[model_type].format(layer)).register_forward_pre_hook(
            lambda _module, read, layer=layer: heard.__setitem__(layer, read[0][0].double())
        )
    with mlp_hooks.capture_outputs(module, tuple(traces), "decoder", layers) as fed, torch.no_grad():
        forward.record(module, given)
    alone = residual_stream.additions(trace, "decoder")
    assert not [item for item in alone if item.name.endswith(".cross")]
    for item in residual_stream.additions(trace, "decoder", None, fed):
        _, layer, kind = item.name.split(".")
        if kind == "cross":
            into = heard.pop(int(layer))
            bounds.close(item.before, into, 64)
            bounds.close(item.comes_in, into.norm(dim=-1), 256)
    assert heard == {}


def test_what_comes_into_the_sublayers_of_pytorch() -> None:
    """Each row of a decoder of nn.Transformer, whose cross-attention reads a norm of what self-attention gave."""
    torch.manual_seed(0)
    module = nn.Transformer(16, 2, 2, 2, 32, batch_first=True).eval().double()
    heard = {}
    for layer, part in enumerate(module.decoder.layers):
        for kind, attention in (("self", part.self_attn), ("cross", part.multihead_attn)):
            attention.register_forward_pre_hook(
                lambda _module, read, name=f"decoder.{layer}.{kind}": heard.__setitem__(name, read[0].reshape(-1, 16))
            )
    trace = instrument(module).trace(torch.randn(1, 5, 16).double(), torch.randn(1, 4, 16).double())
    found = [item for item in residual_stream.additions(trace, "decoder") if not item.name.endswith(".layer")]
    assert [item.name for item in found] == ["decoder.0.self", "decoder.1.self"]
    for item in found:
        bounds.close(item.before, heard[item.name], 64)
        bounds.close(
            item.cosine, torch.cosine_similarity(heard[item.name], trace.record(item.name).output, dim=-1), 256
        )
