"""The residual stream of a foreign module: kept only where a numbered module's output is its input with its parts added."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from model import instrument
from model.residual import stream as residual_stream
from tests import bounds
from tests.model.test_instrument_sequences import Attention, D


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Bare(nn.Module):
    """A layer of attention alone, its residual added by the model."""

    def __init__(self):
        super().__init__()
        self.attention, self.norm = Attention(causal=True), nn.LayerNorm(D)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x)


class NormInside(Bare):
    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.norm(x))


class WithPlaces(NormInside):
    """It adds to its input, but not what attention gave."""

    def forward(self, x: Tensor) -> Tensor:
        self.attention(x)
        return x + self.norm(x)


class Pre(Bare):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.norm(x))


class InPlace(Bare):
    def forward(self, x: Tensor) -> Tensor:
        x += self.attention(self.norm(x))
        return x


class Post(Bare):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.attention(x))


class RootMeanSquare(Bare):
    """Its norm by hand, behind the sum; its input has a name and is not the first."""

    def forward(self, mask: Tensor, *, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.norm.weight


class Thrice(Bare):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.norm(q + self.attention(v))


class Masked(Bare):
    def forward(self, real: Tensor, x: Tensor) -> Tensor:
        return (x + self.attention(x)) * real


class Placed(Bare):
    def forward(self, places: Tensor, x: Tensor) -> Tensor:
        return x + places + self.attention(x)


class Stacked(nn.Module):
    """Two layers; `outside`: x + layer(norm(x))."""

    def __init__(self, kind: type[nn.Module], outside: bool):
        super().__init__()
        self.layers, self.norm, self.outside = nn.ModuleList([kind() for _ in range(2)]), nn.LayerNorm(D), outside

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        for layer in self.layers:
            x = x + layer(self.norm(x)) if self.outside else call(layer, x)
        return x


def call(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer as it wants its inputs."""
    if isinstance(layer, RootMeanSquare):
        return layer(x[:, :1], x=x)
    if isinstance(layer, Thrice):
        return layer(x, x, x)
    if isinstance(layer, Masked | Placed):
        return layer(x.new_ones(1, x.shape[1], 1) if isinstance(layer, Masked) else torch.ones_like(x), x)
    return layer(x)


@pytest.mark.parametrize(
    ("kind", "outside"), [(Bare, True), (NormInside, True), (Bare, False), (WithPlaces, False), (Placed, False)]
)
def test_a_layer_that_does_not_add_attention_to_its_input_has_no_stream(kind: type[nn.Module], outside: bool):
    trace = instrument(Stacked(kind, outside).eval()).trace(torch.randn(1, 5, D))
    assert len(trace.sites) == 2
    assert not [name for name in trace.store.names() if name.endswith(".stream")]
    assert residual_stream.stacks(trace) == ()


@pytest.mark.parametrize("kind", [Pre, InPlace, Post, RootMeanSquare, Thrice, Masked])
def test_the_stream_is_what_each_layer_read_and_gave(kind: type[nn.Module]):
    module, x = Stacked(kind, False).eval(), torch.randn(1, 5, D)
    trace = instrument(module).trace(x)
    module.double()
    expected = [x.double()]
    with torch.no_grad():
        for layer in module.layers:
            expected.append(call(layer, expected[-1].clone()))
    names = residual_stream.streams(trace, trace.sites[0].stack)
    assert len(names) == 3
    for name, stream in zip(names, expected, strict=True):
        bounds.close(trace.activation(name), stream[0], 256)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_layers_of_pytorch_have_streams(norm_first: bool):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors, which nobody asks for
        module = nn.Transformer(D, 2, 2, 2, 16, norm_first=norm_first, batch_first=True)
    module.eval()
    given, heard = (torch.randn(1, 5, D), torch.randn(1, 4, D)), []
    for layer in [*module.encoder.layers, *module.decoder.layers]:
        layer.register_forward_hook(lambda _module, read, out: heard.append((read[0][0], out[0])))
    trace = instrument(module).trace(*given)
    for at, (read, out) in enumerate(heard):
        stack, layer = ("encoder", "decoder")[at // 2], at % 2
        assert torch.equal(trace.activation(f"{stack}.{layer}.stream"), read)
        assert torch.equal(trace.activation(f"{stack}.{layer + 1}.stream"), out)


@pytest.mark.parametrize("between", ["a norm", "the other order"])
def test_layers_that_do_not_read_what_the_one_before_gave_have_no_stream(between: str):
    module = nn.ModuleList(Pre() for _ in range(3)).eval()

    def forward(x: Tensor) -> Tensor:
        for layer in module if between == "a norm" else reversed(module):
            x = layer(x)
            x = module[0].norm(x) if between == "a norm" else x
        return x

    trace = instrument(module, forward=forward).trace(torch.randn(1, 4, D))
    assert len(trace.sites) == 3
    assert not [name for name in trace.store.names() if name.endswith(".stream")]
