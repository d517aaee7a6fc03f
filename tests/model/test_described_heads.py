"""The card's heads, d_k and positions where a configuration says them under other names, against what a run records."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model.checkpoints.disk.config_sizes import Sizes
from model.checkpoints.disk.families import entry
from model.checkpoints.library.describe import Description, describe, positions_of
from model.checkpoints.library.library_model import HuggingFaceModel
from model.checkpoints.record import forward

transformers = pytest.importorskip("transformers")

SMALL = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LATENT = SMALL | {
    "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 10, "qk_rope_head_dim": 8, "v_head_dim": 12,
    "moe_intermediate_size": 32, "n_routed_experts": 4, "num_experts_per_tok": 1, "n_group": 1, "topk_group": 1,
    "n_shared_experts": 1, "first_k_dense_replace": 1,
}  # fmt: skip
JETMOE = SMALL | {"kv_channels": 12, "num_key_value_heads": 2, "num_local_experts": 4}
# Class, configuration, d_k.
MODELS = {
    "deepseek_v2": ("DeepseekV2ForCausalLM", "DeepseekV2Config", LATENT, 18),
    "deepseek_v3": ("DeepseekV3ForCausalLM", "DeepseekV3Config", LATENT, 18),
    "glm4_moe_lite": ("Glm4MoeLiteForCausalLM", "Glm4MoeLiteConfig", LATENT, 18),
    "minicpm3": ("MiniCPM3ForCausalLM", "MiniCPM3Config", LATENT, 18),
    "mobilebert": ("MobileBertForMaskedLM", "MobileBertConfig",
                   SMALL | {"hidden_size": 64, "intra_bottleneck_size": 24, "embedding_size": 16}, 6),
    "funnel": ("FunnelModel", "FunnelConfig", {"vocab_size": 97, "d_model": 32, "n_head": 4, "d_head": 20, "d_inner": 64,
                                               "block_sizes": [2, 2]}, 20),
    "jetmoe": ("JetMoeForCausalLM", "JetMoeConfig", JETMOE | {"num_experts_per_tok": 2}, 12),
    "jetmoe, heads told wrongly": ("JetMoeForCausalLM", "JetMoeConfig", JETMOE | {"num_experts_per_tok": 1}, 12),
}  # fmt: skip


def made(class_name: str, config: str, said: dict) -> nn.Module:
    torch.manual_seed(0)
    return getattr(transformers, class_name)(getattr(transformers, config)(**said)).eval()


def described(module: nn.Module) -> Description:
    return describe(HuggingFaceModel("tiny", module, None, module.config.model_type, "0" * 16, {}))


@pytest.mark.parametrize(("class_name", "config", "said", "d_k"), MODELS.values(), ids=MODELS)
def test_heads_and_their_width_are_those_of_the_recorded_queries(class_name: str, config: str, said: dict, d_k: int):
    module = made(class_name, config, said)
    found = described(module)
    with torch.no_grad():
        recorded = forward.record(forward.prepare(module), {"input_ids": torch.randint(4, 90, (1, 24))})
    for record in recorded.attention.values():
        assert (found.heads, found.d_k) == ((record.heads,), (record.q.shape[-1],))
    assert found.d_k == (d_k,)


@pytest.mark.parametrize("name", ["DeepseekV2", "DeepseekV3"])
def test_the_published_sizes_of_latent_attention(name: str):
    """128 numbers of the content beside 64 that are rotated (DeepSeek-V2, section 3.1.2)."""
    assert Sizes.of(getattr(transformers, f"{name}Config")().to_dict()).d_k == 128 + 64


def test_a_group_of_layers_counts_as_many():
    """ALBERT with inner_group_num 2 runs two layers in the place of each."""
    config = {
        "vocab_size": 97,
        "hidden_size": 32,
        "embedding_size": 16,
        "num_attention_heads": 4,
        "intermediate_size": 48,
    }
    config |= {"num_hidden_layers": 3, "num_hidden_groups": 1, "inner_group_num": 2, "max_position_embeddings": 64}
    module = made("AlbertForMaskedLM", "AlbertConfig", config)
    with torch.no_grad():
        recorded = forward.record(forward.prepare(module), {"input_ids": torch.randint(4, 90, (1, 8))})
    sizes = Sizes.of(module.config.to_dict())
    assert sizes.layers == sizes.calls == len(recorded.attention) == 6


def test_where_positions_are_told_elsewhere():
    roformer = made("RoFormerForMaskedLM", "RoFormerConfig", SMALL)
    assert positions_of(roformer) == ("rotary",)
    mpt = {"vocab_size": 97, "n_layers": 1, "d_model": 32, "n_heads": 4, "max_seq_len": 64}
    assert positions_of(made("MptForCausalLM", "MptConfig", mpt)) == ("alibi",)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_positions_of_whisper_are_fixed_in_the_encoder_and_learned_in_the_decoder(tmp_path, dtype: torch.dtype):
    made("WhisperForConditionalGeneration", "WhisperConfig", entry("whisper").small).save_pretrained(tmp_path)
    module = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path, dtype=dtype)
    table = module.model.encoder.embed_positions.weight
    sinusoids = pytest.importorskip("transformers.models.whisper.modeling_whisper").sinusoids
    torch.testing.assert_close(table, sinusoids(*table.shape).to(dtype))
    assert positions_of(module) == ("sinusoidal", "learned")
    with torch.no_grad():
        table.add_(torch.randn(table.shape, generator=torch.Generator().manual_seed(1)).to(dtype) * 0.1)
    assert positions_of(module) == ("learned",)  # somebody trained it
