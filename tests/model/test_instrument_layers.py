"""Several attentions of one kind in a layer: each has the module's own number of its layer, and a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from model import instrument
from model.trace.trace import Trace
from tests.model.test_instrument_sequences import WORDS, Attention, D, held, opened


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Layer(nn.Module):
    """A decoder's layer that reads a text, then a picture."""

    def __init__(self):
        super().__init__()
        self.self_attn, self.text_cross, self.image_cross = Attention(causal=True), Attention(), Attention()

    def forward(self, x: Tensor, text: Tensor, image: Tensor) -> Tensor:
        x = x + self.self_attn(x)
        return x + self.image_cross(x + self.text_cross(x, text), image)


class Listed(Layer):
    """The same, its cross-attentions in a list of their own."""

    def __init__(self):
        super().__init__()
        self.cross = nn.ModuleList([self.text_cross, self.image_cross])
        del self.text_cross, self.image_cross

    def forward(self, x: Tensor, text: Tensor, image: Tensor) -> Tensor:
        x = x + self.self_attn(x)
        return x + self.cross[1](x + self.cross[0](x, text), image)


class Reader(nn.Module):
    """Two encoders and a decoder of `layers`; what is no `Layer` is in between."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.table = nn.Embedding(20, D)
        self.text_encoder, self.image_encoder = (nn.ModuleList([Attention()]) for _ in range(2))
        self.layers = nn.ModuleList(layers)

    def forward(self, text: Tensor, image: Tensor, ids: Tensor) -> Tensor:
        text, image, x = (
            self.text_encoder[0](self.table(text)),
            self.image_encoder[0](self.table(image)),
            self.table(ids),
        )
        for layer in self.layers:
            x = layer(x, text, image) if isinstance(layer, Layer) else layer(x)
        return x


GIVEN = torch.arange(3)[None], torch.arange(5, 9)[None], torch.arange(10, 12)[None]


@pytest.mark.parametrize(("kind", "beside"), [(Layer, "decoder_image_cross"), (Listed, "decoder_cross_1")])
@pytest.mark.parametrize("numbers", [(0,), (0, 1), (0, 2)])
def test_two_cross_attentions_of_a_layer(kind: type[Layer], beside: str, numbers: tuple[int, ...], tmp_path: Path):
    module = Reader([kind() if at in numbers else nn.Linear(D, D) for at in range(max(numbers) + 1)]).eval()
    trace = instrument(module, WORDS).trace(*GIVEN)
    own = [
        f"{stack}.{at}.{way}"
        for at in numbers
        for stack, way in (("decoder", "self"), ("decoder", "cross"), (beside, "cross"))
    ]
    assert [str(site) for site in trace.sites if "encoder" not in site.stack] == own
    for site in trace.sites:
        assert trace.facts["modules"][str(site)].split(".")[1] == str(site.layer)
    for at in numbers:
        first, second = (trace.record(f"{stack}.{at}.cross").site for stack in ("decoder", beside))
        assert (first.query_side, first.key_side) == ("decoder", "text_encoder")
        assert (second.query_side, second.key_side) == ("decoder", "image_encoder")
    held(trace, module)
    opened(trace, tmp_path)


def test_what_a_layer_of_several_hands_on_is_its_stream():
    module, handed = Reader([Layer(), Layer()]).eval(), []
    module.layers[0].register_forward_hook(lambda _module, _given, out: handed.append(out[0].detach()))
    trace = instrument(module, WORDS).trace(*GIVEN)
    assert torch.equal(trace.activation("decoder.1.stream"), handed[0])
    assert not [name for name in trace.store.names() if name.startswith("decoder_image_cross") and "stream" in name]


class InTimeAndSpace(nn.Module):
    """Two self-attentions in a layer; its second is the first once more where the weights are `shared`."""

    def __init__(self, shared: bool):
        super().__init__()
        self.time = Attention()
        self.space = None if shared else Attention()

    def forward(self, x: Tensor) -> Tensor:
        return (self.space or self.time)(self.time(x))


@pytest.mark.parametrize("shared", [False, True])
def test_two_self_attentions_of_a_layer(shared: bool):
    module = nn.Sequential(InTimeAndSpace(shared), InTimeAndSpace(shared)).eval()
    trace = instrument(module).trace(torch.randn(1, 4, D))
    beside = "encoder_time_2" if shared else "encoder_space"
    assert [str(site) for site in trace.sites] == [
        "encoder.0.self",
        f"{beside}.0.self",
        "encoder.1.self",
        f"{beside}.1.self",
    ]
    assert {site.query_side for site in trace.sites} == {"encoder"}
    held(trace, module, {f"{beside}.{layer}.self": int(shared) for layer in (0, 1)})


def test_layers_that_run_again_are_layers():
    module = nn.ModuleList([nn.ModuleDict({"one": Attention(), "two": Attention()})]).eval()

    def twice(x: Tensor) -> Tensor:
        for _ in range(2):
            x = module[0]["two"](module[0]["one"](x))
        return x

    trace = instrument(module, forward=twice).trace(torch.randn(1, 4, D))
    assert [str(site) for site in trace.sites] == [
        f"{name}.{layer}.self" for layer in (0, 1) for name in ("encoder", "encoder_two")
    ]
    held(trace, module, {f"{name}.1.self": 1 for name in ("encoder", "encoder_two")})


def test_a_name_that_is_taken_gets_a_number():
    class Names(nn.Module):
        def __init__(self):
            super().__init__()
            self.a_b, self.c = Attention(), nn.ModuleDict({"d": Attention()})
            self.c_d = Attention()

        def forward(self, x: Tensor) -> Tensor:
            return self.c_d(self.c["d"](self.a_b(x)))

    trace: Trace = instrument(nn.Sequential(Names()).eval()).trace(torch.randn(1, 4, D))
    assert [str(site) for site in trace.sites] == ["encoder.0.self", "encoder_c_d.0.self", "encoder_c_d_2.0.self"]
