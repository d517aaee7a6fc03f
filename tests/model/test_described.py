"""The card's facts of every family, against the sizes that its model was made with."""

from __future__ import annotations

import pytest
import torch

from model.checkpoints.disk.config_sizes import Sizes
from model.checkpoints.disk.families import FAMILIES, Family, family_of, small_model
from model.checkpoints.library.describe import Description, describe
from model.checkpoints.library.library_model import HuggingFaceModel

transformers = pytest.importorskip("transformers")

WINDOWS = ("local_attention", "sliding_window", "window_size")
WIDTHS = ("intermediate_size", "d_ff", "hidden_dim", "encoder_ffn_dim", "ffn_dim", "d_inner", "decoder_ffn_dim")
TASKS = {"encoder": "masked", "decoder": "causal", "encoder-decoder": "seq2seq", "dual encoder": "embedding"}


def described(family: Family) -> Description:
    card = {"fresh": ["pooler.dense.weight"]}
    return describe(HuggingFaceModel("tiny", small_model(family), None, family.model_type, "0" * 16, card))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_every_family_is_described(family: Family):
    name, found = family.model_type, described(family)
    module = small_model(family)
    assert (found.family, found.class_name, found.dtype) == (name, family.model, "float32")
    pictures = family.reads == "pictures" and family.architecture == "encoder"
    assert (found.task, found.reads) == (
        "classification" if pictures else "tagging" if name == "wav2vec2" else TASKS[family.architecture],
        "both" if family.architecture == "dual encoder" else family.reads,
    )
    small = text_sizes(family.small)
    two = family.architecture in ("encoder-decoder", "dual encoder")
    assert found.layers == ((2, small.get("decoder_layers", 2)) if two else (2,))
    heads = (4, small["decoder_attention_heads"]) if small.get("decoder_attention_heads", 4) != 4 else (4,)
    assert (found.heads, found.d_model) == (heads, (32,))
    assert found.d_k == ((small["head_dim"],) if "head_dim" in small else tuple(32 // h for h in heads))
    width = next((small[key] for key in WIDTHS if key in small), None)
    assert found.d_ff == ((width,) if width else () if not found.d_ff else (4 * 32,))  # where it has no name it is 4 d
    assert found.vocabulary == small.get("vocab_size")
    assert found.parameters == sum(p.numel() for p in module.parameters())
    assert sum(count for _, count in found.parts) == found.parameters
    assert [count for _, count in found.parts] == sorted((count for _, count in found.parts), reverse=True)
    kinds = {kind for kind, _ in found.parts}
    assert {"attention", "embedding", "feed_forward"} <= kinds, found.parts
    assert kinds <= {"attention", "embedding", "feed_forward", "norm", "other"}
    kv = 1 if name == "falcon" else small.get("num_key_value_heads", 4)  # Falcon's multi_query is its own default
    assert found.kv_heads == (heads if kv == 4 else (kv,))
    assert found.attention == ({4: "multi-head", 2: "grouped", 1: "multi-query"}[kv],)
    assert found.window == next((small[key] for key in WINDOWS if key in small), None)
    positions = ("sinusoidal", "learned") if name == "whisper" else (family.positions,) if family.positions else ()
    assert found.positions == positions  # Whisper's encoder has fixed ones
    assert found.fresh == ("pooler.dense.weight",)


def text_sizes(small: dict) -> dict:
    """The part of a smallest configuration that is about the text, or the whole."""
    return small.get("text_config") or small.get("decoder") or small


def opened(module: torch.nn.Module) -> Description:
    return describe(HuggingFaceModel("tiny", module, None, family_of(module.config.model_type), "0" * 16, {}))


V = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "intermediate_size": 40,
    "image_size": 16,
    "patch_size": 4,
}
T = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 97,
     "max_position_embeddings": 24}  # fmt: skip


def two_towers(name: str) -> torch.nn.Module:
    module, config = (getattr(transformers, f"{name}{kind}") for kind in ("Model", "Config"))
    return module(config(vision_config=V, text_config=T, **({"projection_dim": 16} if name == "CLIP" else {})))


def reads_and_writes(encoder: str, decoder: transformers.PreTrainedConfig) -> torch.nn.Module:
    first = getattr(transformers, f"{encoder}Config")(**V)
    return transformers.VisionEncoderDecoderModel(
        transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(first, decoder)
    )


@pytest.mark.parametrize("name", ["CLIP", "Siglip"])
def test_two_towers_have_sizes_of_their_own(name: str):
    module = two_towers(name)
    found = opened(module)
    assert (found.layers, found.heads, found.d_model) == ((3, 2), (6, 4), (24, 32))
    assert (found.d_k, found.d_ff, found.kv_heads) == ((4, 8), (40, 64), (6, 4))
    assert (found.vocabulary, found.max_length, found.reads) == (97, 24, "both")
    assert len(module.vision_model.encoder.layers) == 3 and len(module.text_model.encoder.layers) == 2


@pytest.mark.parametrize(
    ("class_name", "task"), [("SiglipVisionModel", "embedding"), ("SiglipForImageClassification", "classification")]
)
def test_a_picture_alone_has_no_sizes_of_a_text(class_name: str, task: str):
    config = (
        transformers.SiglipVisionConfig(**V)
        if "Vision" in class_name
        else transformers.SiglipConfig(vision_config=V, text_config=T)
    )
    found = opened(getattr(transformers, class_name)(config))
    assert (found.task, found.reads, found.vocabulary, found.max_length) == (task, "pictures", None, None)
    assert (found.layers, found.heads, found.d_model, found.d_k, found.d_ff) == ((3,), (6,), (24,), (4,), (40,))
    assert found.positions == ("learned",)


TROCR = {"d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 64, "vocab_size": 97,
         "max_position_embeddings": 24, "cross_attention_hidden_size": 24}  # fmt: skip
DECODERS = {
    "trocr": lambda: transformers.TrOCRConfig(**TROCR),
    "sinusoidal": lambda: transformers.TrOCRConfig(**TROCR, use_learned_position_embeddings=False),
    "bert": lambda: transformers.BertConfig(**T, is_decoder=True, add_cross_attention=True),
    "mbart": lambda: transformers.MBartConfig(
        **TROCR | {"cross_attention_hidden_size": None}, encoder_layers=9, encoder_attention_heads=2, encoder_ffn_dim=8,
        is_decoder=True, add_cross_attention=True),
}  # fmt: skip


@pytest.mark.parametrize("encoder", ["ViT", "DeiT"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_an_encoder_and_a_decoder_of_two_families_are_described_side_by_side(encoder: str, decoder: str):
    found = opened(reads_and_writes(encoder, DECODERS[decoder]()))
    assert (found.layers, found.heads, found.d_model) == ((3, 2), (6, 4), (24, 32))
    assert (found.d_k, found.d_ff, found.kv_heads) == ((4, 8), (40, 64), (6, 4))
    assert (found.vocabulary, found.max_length, found.task, found.reads) == (97, 24, "seq2seq", "pictures")
    assert found.positions == (("learned", "sinusoidal") if decoder == "sinusoidal" else ("learned",))
    assert found.attention == ("multi-head",)


def test_heads_of_moonshine_are_those_that_the_library_makes():
    """It makes the decoder with the encoder's numbers of heads, and writes these into the configuration."""
    small = next(f for f in FAMILIES if f.model_type == "moonshine").small
    config = transformers.MoonshineConfig(**small | {"encoder_num_key_value_heads": 2, "decoder_num_hidden_layers": 3})
    module = transformers.MoonshineForConditionalGeneration(config)
    made = [getattr(module.model, stack).layers[0].self_attn.k_proj.out_features for stack in ("encoder", "decoder")]
    found = opened(module)
    assert (found.layers, found.kv_heads, found.attention) == ((2, 3), (2,), ("grouped",)) and made == [2 * 8, 2 * 8]


def test_key_value_heads_of_each_stack_are_told():
    told = {
        "is_encoder_decoder": True, "hidden_size": 32, "encoder_num_attention_heads": 4, "decoder_num_attention_heads": 8,
        "encoder_num_key_value_heads": 4, "decoder_num_key_value_heads": 2, "encoder_ffn_dim": 9, "decoder_ffn_dim": 7,
    }  # fmt: skip
    each = Sizes.of(told).each
    assert [(s.heads, s.groups, s.d_k, s.d_ff) for s in each] == [(4, 4, 8, 9), (8, 2, 4, 7)]


@pytest.mark.parametrize("name", ["Wav2Vec2", "Hubert", "UniSpeech", "UniSpeechSat", "Data2VecAudio"])
def test_what_encodes_a_sound_has_its_frames_made_by_convolutions(name: str):
    small = dict(next(f for f in FAMILIES if f.model_type == "wav2vec2").small)
    small |= {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 3} if "Data" in name else {}
    module = getattr(transformers, f"{name}ForCTC")(getattr(transformers, f"{name}Config")(**small))
    found = opened(module)
    assert (found.positions, found.reads, found.max_length) == (("convolutional",), "sound", None)
    parts, d, ff = dict(found.parts), 32, 64
    assert parts["attention"] == 2 * 4 * (d * d + d) and parts["feed_forward"] == 2 * (2 * d * ff + ff + d)
    assert parts["other"] == d * 32 + 32  # the head that spells


def test_parts_of_a_small_model_counted_by_hand():
    parts = dict(described(next(f for f in FAMILIES if f.model_type == "gpt2")).parts)
    d, ff, vocabulary, n = 32, 128, 97, 64
    assert parts == {
        "attention": 2 * (d * 3 * d + 3 * d + d * d + d),
        "feed_forward": 2 * (2 * d * ff + ff + d),
        "embedding": (vocabulary + n) * d,
        "norm": 5 * 2 * d,
    }


def test_sizes_under_their_several_names():
    plain = {"layers": 3, "d": 12, "heads": 4, "d_k": 3, "groups": 4}
    named = [
        {"num_hidden_layers": 3, "hidden_size": 12, "num_attention_heads": 4}, {"n_layer": 3, "n_embd": 12, "n_head": 4},
        {"n_layers": 3, "dim": 12, "n_heads": 4}, {"n_layers": 3, "emb_dim": 12, "n_heads": 4},
        {"num_layers": 3, "d_model": 12, "num_heads": 4}, {"text_config": {"num_layers": 3, "d_model": 12, "num_heads": 4}},
    ]  # fmt: skip
    for config in named:
        found = Sizes.of(config)
        assert {name: getattr(found, name) for name in plain} == plain and found.stacks == (3,) and found.calls == 3
    both = Sizes.of({"is_encoder_decoder": True, "encoder_layers": 2, "decoder_layers": 5, "num_hidden_layers": 2,
                     "d_model": 12, "encoder_attention_heads": 4, "decoder_attention_heads": 2})  # fmt: skip
    assert (both.stacks, both.calls, both.heads, both.second.heads) == ((2, 5), 12, 4, 2)
    assert Sizes.of({"num_attention_heads": 8, "multi_query": True}).groups == 1
    assert Sizes.of({}).stacks == () and Sizes.of({"num_hidden_layers": True, "hidden_size": None}).layers == 0
