"""The card's facts of every family, against the sizes that its model was made with."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

from model.checkpoints.disk.families import FAMILIES, Family, small_model
from model.checkpoints.library.describe import Description, describe
from model.checkpoints.library.library_model import HuggingFaceModel

WINDOWS = ("local_attention", "sliding_window", "window_size")
WIDTHS = ("intermediate_size", "d_ff", "hidden_dim", "encoder_ffn_dim", "ffn_dim", "d_inner")
TASKS = {"encoder": "masked", "decoder": "causal", "encoder-decoder": "seq2seq", "dual encoder": "embedding"}


def described(family: Family) -> Description:
    card = {"fresh": ["pooler.dense.weight"]}
    return describe(HuggingFaceModel("tiny", small_model(family), None, family.model_type, "0" * 16, card))


NEW = ("siglip", "vision-encoder-decoder", "wav2vec2", "moonshine")  # held in test_more_media.py


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.model_type not in NEW], ids=lambda family: family.model_type
)
def test_every_family_is_described(family: Family):
    name, found = family.model_type, described(family)
    module = small_model(family)
    assert (found.family, found.class_name, found.dtype) == (name, family.model, "float32")
    small = family.small.get("text_config", family.small)
    both = family.architecture == "encoder-decoder"
    assert found.layers == ((2, small.get("decoder_layers", 2)) if both else (2,))
    assert (found.heads, found.d_model) == (4, 32)
    assert found.d_k == small.get("head_dim", 8)
    width = next((small[key] for key in WIDTHS if key in small), None)
    assert found.d_ff == (width or (None if found.d_ff is None else 4 * 32))  # where it has no name it is 4 d
    assert found.vocabulary == small.get("vocab_size")
    assert found.parameters == sum(p.numel() for p in module.parameters())
    assert sum(count for _, count in found.parts) == found.parameters
    assert [count for _, count in found.parts] == sorted((count for _, count in found.parts), reverse=True)
    kinds = {kind for kind, _ in found.parts}
    assert {"attention", "embedding", "feed_forward"} <= kinds, found.parts
    assert kinds <= {"attention", "embedding", "feed_forward", "norm", "other"}
    kv = 1 if name == "falcon" else small.get("num_key_value_heads", 4)  # Falcon's multi_query is its own default
    assert (found.kv_heads, found.attention) == (kv, {4: "multi-head", 2: "grouped", 1: "multi-query"}[kv])
    assert found.window == next((small[key] for key in WINDOWS if key in small), None)
    assert found.positions == family.positions
    pictures = family.reads == "pictures" and family.architecture == "encoder"
    assert found.task == ("classification" if pictures else TASKS[family.architecture])
    assert found.fresh == ("pooler.dense.weight",)


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
    from model.checkpoints.disk.config_sizes import Sizes

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
    assert (both.stacks, both.calls, both.heads, both.decoder_heads) == ((2, 5), 12, 4, 2)
    assert Sizes.of({"num_attention_heads": 8, "multi_query": True}).groups == 1
    assert Sizes.of({}).stacks == () and Sizes.of({"num_hidden_layers": True, "hidden_size": None}).layers == 0
