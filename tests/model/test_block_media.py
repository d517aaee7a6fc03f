"""The block of every class that reads pictures or sound: each layer's units and additions against its own modules, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from model import Trace
from model.checkpoints.disk.families import entry, small_inputs
from model.checkpoints.media.pictures import sample_picture, trace_picture
from model.checkpoints.record import forward, mlp_hooks
from model.residual import stream as residual_stream
from model.trace.trace import Side, TraceKey
from tests import bounds
from tests.model.test_described import DECODERS, T, V, reads_and_writes
from tests.model.test_more_media import opened

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.float32

SOUND = dict(entry("wav2vec2").small)
ENDS = {"trocr": "model.decoder.layers.{}.fc2", "bert": "bert.encoder.layer.{}.output.dense",
        "mbart": "model.decoder.layers.{}.fc2", "gpt2": "transformer.h.{}.mlp.c_proj",
        "roberta": "roberta.encoder.layer.{}.output.dense"}  # fmt: skip
WRITERS = {
    **{name: make for name, make in DECODERS.items() if name != "sinusoidal"},
    "gpt2": lambda: transformers.GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=24, is_decoder=True,
                                            add_cross_attention=True),
    "roberta": lambda: transformers.RobertaConfig(**T, is_decoder=True, add_cross_attention=True, pad_token_id=0),
}  # fmt: skip


def sound(name: str, head: str = "ForCTC", **changes: object) -> torch.nn.Module:
    small = SOUND | ({"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 3} if "Data" in name else {}) | changes
    return getattr(transformers, f"{name}{head}")(getattr(transformers, f"{name}Config")(**small))


def siglip(name: str) -> torch.nn.Module:
    if name == "SiglipVisionModel":
        return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**V))
    return getattr(transformers, name)(
        transformers.SiglipConfig(vision_config=V, text_config=T | {"projection_size": 24})
    )


def moonshine() -> torch.nn.Module:
    return transformers.MoonshineForConditionalGeneration(transformers.MoonshineConfig(**entry("moonshine").small))


# How it is made, and stack -> (path of a layer's last projection, whether norms stand before the sub-layers).
Made = tuple[Callable[[], torch.nn.Module], dict[str, tuple[str, bool]]]
LAYERS = "encoder.layers.{}.mlp.fc2"
SPEECH = "{}.encoder.layers.{{}}.feed_forward.output_dense"
SPOKEN = {"Wav2Vec2": "wav2vec2", "Hubert": "hubert", "UniSpeech": "unispeech", "UniSpeechSat": "unispeech_sat",
          "Data2VecAudio": "data2vec_audio"}  # fmt: skip
KINDS: dict[str, Made] = {
    "siglip, a tower": (partial(siglip, "SiglipVisionModel"), {"encoder": (LAYERS, True)}),
    "siglip, classes": (partial(siglip, "SiglipForImageClassification"), {"encoder": (f"vision_model.{LAYERS}", True)}),
    "siglip": (partial(siglip, "SiglipModel"),
               {"encoder": (f"vision_model.{LAYERS}", True), "decoder": (f"text_model.{LAYERS}", True)}),
    "Wav2Vec2, bare": (partial(sound, "Wav2Vec2", "Model"),
                       {"encoder": ("encoder.layers.{}.feed_forward.output_dense", False)}),
    "moonshine": (moonshine, {stack: (f"model.{stack}.layers.{{}}.mlp.fc2", True) for stack in ("encoder", "decoder")}),
}  # fmt: skip
for name, make in WRITERS.items():
    end = (f"decoder.{ENDS[name]}", name in ("mbart", "gpt2"))
    for encoder in ("ViT", "DeiT"):
        KINDS[f"{encoder} and {name}"] = (
            lambda encoder=encoder, make=make: reads_and_writes(encoder, make()),
            {"encoder": (LAYERS, True), "decoder": end},
        )
for name, part in SPOKEN.items():
    KINDS[name] = partial(sound, name), {"encoder": (SPEECH.format(part), False)}
for name in ("Wav2Vec2", "Hubert"):  # the large ones, with norms before the sub-layers
    changes = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
    KINDS[f"{name}, large"] = partial(sound, name, **changes), {"encoder": (SPEECH.format(SPOKEN[name]), True)}


def given(module: torch.nn.Module, kind: str) -> dict[str, torch.Tensor]:
    like = "moonshine" if kind == "moonshine" else "wav2vec2"
    if module.main_input_name == "pixel_values" or kind == "siglip":
        like = "siglip" if kind == "siglip" else "vision-encoder-decoder"
    return small_inputs(entry(like), kind == "moonshine" or " and " in kind)


def heard(module: torch.nn.Module, inputs: dict, path: str, layers: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the projection at `path` reads and gives in each layer: (hidden, output), in float64."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    handles = [
        module.get_submodule(path.format(layer)).register_forward_hook(
            lambda _part, read, gave: found.append(tuple(x[0].double().numpy() for x in (read[0], gave)))
        )
        for layer in range(layers)
    ]
    forward.run(module, inputs)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_its_own(kind: str) -> None:
    torch.manual_seed(0)
    make, stacks = KINDS[kind]
    module = forward.prepare(make())
    inputs = given(module, kind)
    with torch.no_grad():
        recorded = forward.record(module, inputs)
    assert recorded.stacks == set(stacks)
    order = tuple(sorted(stacks, reverse=True))
    for stack, (path, before) in stacks.items():
        n = recorded.store.shape(f"{stack}.0.stream")[0]
        side = Side(("a",) * n, (0,) * n, (False,) * n)
        trace = Trace(TraceKey("a", "b", "c"), {stack: side}, recorded.attention, recorded.store)
        layers = len(residual_stream.streams(trace, stack)) - 1
        with torch.no_grad():
            expected = heard(module, inputs, path, layers)
            for layer, (hidden, output) in enumerate(expected):
                with mlp_hooks.capture_hidden(module, order, stack, layer, layers) as captured:
                    forward.record(module, inputs)
                units = captured[0].units()
                assert captured[0].name == path.format(layer)
                bounds.close(units.post, hidden.reshape(units.post.shape), 64)
                assert units.error <= units.limit and units.function_error <= units.function_limit
                bounds.close(captured[0].output, output.reshape(captured[0].output.shape), 64)
            with mlp_hooks.capture_outputs(module, order, stack, layers) as fed:
                forward.record(module, inputs)
        assert sorted(fed) == list(range(layers)) and layers == len(expected)
        for layer, (_, output) in enumerate(expected):
            bounds.close(fed[layer], output.reshape(fed[layer].shape), 64)
        told = residual_stream.additions(trace, stack, None, fed)
        assert any(item.name.endswith(".ffn") for item in told) == before
        assert all(item.error is None or item.error <= item.limit for item in told)


@pytest.mark.parametrize("family", ["siglip", "clip"])
@pytest.mark.parametrize("selected", [0, 1, 2])
def test_what_is_heard_of_several_captions_is_of_the_recorded_one(tmp_path: Path, family: str, selected: int) -> None:
    """Each caption is run; all have as many tokens, so that their numbers could be taken for each other's."""
    model = opened(tmp_path, family)
    captions = ["a red disc", "the cat sat", "a green square"]
    path = "text_model.encoder.layers.{}.mlp.fc2"
    ids = torch.tensor([trace_picture(model, sample_picture(), captions, selected=selected).token_ids("decoder")])
    with torch.no_grad():
        expected = heard(model.module.text_model, {"input_ids": ids}, path.removeprefix("text_model."), 2)
    order = ("encoder", "decoder")
    with mlp_hooks.capture_hidden(model.module, order, "decoder", 1, 2) as captured:
        trace_picture(model, sample_picture(), captions, selected=selected)
    bounds.close(captured[0].units().post, expected[1][0], 64)
    with mlp_hooks.capture_outputs(model.module, order, "decoder", 2) as fed:
        trace_picture(model, sample_picture(), captions, selected=selected)
    for layer, (_, output) in enumerate(expected):
        bounds.close(fed[layer], output, 64)
