"""Feed-forward units: our own against W_1 and W_2 in numpy; every family's against its layer's output and its function."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.checkpoints.disk.families import FAMILIES, TOWERS, Family, small_inputs, small_model
from model.checkpoints.record import forward, mlp_hooks
from model.checkpoints.record.site_names import stack_of
from model.residual import neurons
from model.residual.neurons import Hidden
from tests import bounds
from tests.model import tiny

pytestmark = pytest.mark.float32

# What the library's configurations say; told apart here by the numbers alone.
NAMED = {
    "gelu": "gelu", "relu": "relu", "silu": "silu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh", "quick_gelu": "quick_gelu", "gelu_python": "gelu",
}  # fmt: skip


def numpy_function(name: str, x: np.ndarray) -> np.ndarray:
    def one(v: float) -> float:
        if name == "relu":
            return max(v, 0.0)
        if name == "relu2":
            return max(v, 0.0) ** 2
        if name == "gelu":
            return v * 0.5 * math.erfc(-v / math.sqrt(2))
        if name == "gelu_tanh":
            return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
        return v / (1 + math.exp(-v if name == "silu" else -1.702 * v))

    return np.vectorize(one)(x)


@pytest.mark.parametrize("name", neurons.ACTIVATIONS)
def test_functions_are_their_formulas(name: str) -> None:
    x = np.linspace(-6, 6, 41)
    np.testing.assert_allclose(neurons.activate(name, torch.tensor(x)), numpy_function(name, x), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("stack", "layer"), [("encoder", 1), ("decoder", 0)])
def test_our_own_units(tiny_model, stack: str, layer: int) -> None:
    trace = tiny_model.trace(tiny.TEXT, tiny.WRITTEN)
    found = neurons.own_hidden(trace, tiny_model.module, stack, layer)
    ffn = getattr(tiny_model.module, stack)[layer].ffn
    x = trace.activation(f"{stack}.{layer}.{'self' if stack == 'encoder' else 'cross'}.norm").double().numpy()
    W_1, b_1, W_2, b_2 = (p.detach().double().numpy() for w in (ffn.W_1, ffn.W_2) for p in (w.weight, w.bias))
    pre = np.einsum("nd,fd->nf", x, W_1) + b_1
    post = pre * (pre > 0)
    output = trace.activation(f"{stack}.{layer}.ffn.output").numpy()
    bounds.close(found.pre, pre, 64)
    bounds.close(found.post, post, 64)
    exact = np.abs(np.einsum("nf,df->nd", found.post.double().numpy(), W_2) + b_2 - output).max()
    assert found.error == pytest.approx(exact, abs=1e-12) and found.error <= found.limit
    assert found.function_error == 0 and found.firing == pytest.approx((found.post.numpy() > 0).mean())
    assert neurons.own_hidden(trace, None, stack, layer).error is None


def test_a_wrong_unit_is_told(tiny_model) -> None:
    trace = tiny_model.trace(tiny.TEXT, tiny.WRITTEN)
    post = trace.activation("encoder.0.ffn.post").clone()
    trace.store.add("encoder.0.ffn.post", post + 0.1)
    assert neurons.own_hidden(trace, tiny_model.module, "encoder", 0).error > 1e-3


def test_strongest_units_and_top_tokens() -> None:
    post = torch.tensor([[0.0, -3.0, 2.0, 1.0], [5.0, 0.0, 2.0, -1.0], [4.0, 1.0, 2.0, 0.0]])
    hidden = Hidden(post)
    assert neurons.strongest(hidden, 0, 2) == [(1, -3.0), (2, 2.0)]
    assert neurons.strongest(hidden, 0, 99) == [(1, -3.0), (2, 2.0), (3, 1.0)]  # what is 0 does not fire
    assert neurons.ordered(hidden, 0) == [1, 2, 3, 0] and neurons.ordered(hidden, 2) == [0, 2, 1, 3]
    assert neurons.ordered(Hidden(torch.tensor([[0.0, 0.0, 0.0], [1.0, 3.0, 2.0]])), 0) == [1, 2, 0]
    assert neurons.strongest(Hidden(torch.zeros(2, 3)), 1, 2) == [(0, 0.0)]
    assert neurons.top_tokens(hidden, 0) == [(1, 5.0), (2, 4.0), (0, 0.0)]
    assert neurons.top_tokens(hidden, 2) == [(0, 2.0), (1, 2.0), (2, 2.0)]  # ties in reading order
    assert hidden.firing == pytest.approx(7 / 12) and hidden.function_error is None


def test_what_another_function_would_have_passed() -> None:
    generator = torch.Generator().manual_seed(3)
    pre, gate = torch.randn(2, 5, 9, generator=generator, dtype=torch.float64)
    hidden = Hidden(pre.sigmoid() * pre * gate, pre, gate, "silu")
    assert hidden.function_error < 1e-12
    expected = numpy_function("gelu", pre[2].numpy()) * gate[2].numpy()
    np.testing.assert_allclose(neurons.post_activation(hidden, "gelu", 2), expected, atol=1e-12, rtol=0)


def test_a_function_is_recognised_by_its_numbers() -> None:
    generator = torch.Generator().manual_seed(4)
    pre, gate = torch.randn(2, 6, 16, generator=generator)
    for name in neurons.ACTIVATIONS:
        post = neurons.activate(name, pre).float()
        assert neurons.recognised(post, [pre])[0] == name
        gated = (neurons.activate(name, pre) * gate.double()).float()
        found, own, other = neurons.recognised(gated, [gate, pre])
        assert found == name and own is pre and other is gate
    assert neurons.recognised(torch.tanh(pre), [pre]) is None
    assert neurons.recognised(pre, []) is None


def functions_said(config, stack: str) -> list[str]:
    """What the configuration of a stack says that its activation is: a decoder's or a tower's own, else the model's."""
    for own in (getattr(config, stack, None), getattr(config, f"{TOWERS[stack].split('_')[0]}_config", None)):
        config = own if hasattr(own, "model_type") else config
    keys = (f"{stack}_hidden_act", "hidden_act", "activation_function", "hidden_activation", "dense_act_fn", "activation",
            "ff_activation")  # fmt: skip
    said = [getattr(config, key, None) for key in keys]
    said = said[:1] if said[0] is not None else said
    return [NAMED[name] for name in said if isinstance(name, str) and name in NAMED]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_units_of_every_family_reproduce_its_layers(family: Family) -> None:
    pytest.importorskip("transformers")
    module = forward.prepare(small_model(family, sharpen=1.0))
    given = small_inputs(family, bool(getattr(module.config, "is_encoder_decoder", False)))
    with torch.no_grad():
        recorded = forward.record(module, given)
    stacks = tuple(sorted(recorded.stacks, reverse=True))
    names = list(recorded.store.names())
    seen = set()
    for stack in stacks:
        layers = sum(name.startswith(f"{stack}.") and name.endswith(".stream") for name in names) - 1
        n = recorded.store.shape(f"{stack}.0.stream")[0]
        for layer in range(layers):
            with mlp_hooks.capture_hidden(module, stacks, stack, layer, layers) as heard, torch.no_grad():
                forward.record(module, given)
            if not family.feed_forward:  # a mixture of experts, whose units are not one layer's
                assert heard == []
                continue
            units = heard[0].units()
            assert len(units.post) == n and units.post.shape[1] > recorded.store.shape(f"{stack}.0.stream")[1]
            assert units.error <= units.limit and units.function_error <= units.function_limit
            assert (units.gate is not None) == (stack in family.gated)
            firsts = mlp_hooks.first_projections(module, heard[0].name).values()
            assert firsts and {getattr(part, "bias", None) is not None for part in firsts} == {units.biased}
            seen.add((heard[0].name, stack, layer))
            known = functions_said(module.config, stack)
            assert not known or units.function in known
    # No hook is left, and each layer was heard at its own module, but for the one that ALBERT's layers share.
    ends = mlp_hooks.projections(module)
    assert all(not part._forward_hooks for part in ends.values())
    assert {name for name, *_ in seen} == set(ends)
    assert len(ends) == (len(seen) if "shared" not in family.notes else 1)


def test_another_thread_is_not_heard() -> None:
    import threading

    family = next(f for f in FAMILIES if f.model_type == "llama")
    module = forward.prepare(small_model(family))
    given = small_inputs(family, False)
    with mlp_hooks.capture_hidden(module, ("decoder",), "decoder", 0, 2) as heard:
        other = threading.Thread(target=lambda: forward.record(module, given))
        other.start()
        other.join()
        assert heard == []


def test_stacks_by_path() -> None:
    assert stack_of("model.decoder.layers.0.fc2", ("encoder", "decoder")) == "decoder"
    assert stack_of("text_model.encoder.layers.0.mlp.fc2", ("encoder", "decoder")) == "decoder"
    assert stack_of("bert.encoder.layer.0.output.dense", ("encoder",)) == "encoder"
    assert stack_of("model.decoder.layers.0.fc2", ("encoder",)) == "encoder"
