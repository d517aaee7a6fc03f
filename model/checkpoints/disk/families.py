"""The families of models that open, and how each is recorded: one registry, which one contract test runs over.

`small` are the sizes that make a tiny, randomly initialised model of the family from its configuration class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_V = 97
_LLAMA = {
    "vocab_size": _V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_BERT = {
    "vocab_size": _V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
_T5 = {
    "vocab_size": _V, "d_model": 32, "d_kv": 8, "num_layers": 2, "num_heads": 4, "d_ff": 64, "decoder_start_token_id": 0,
}  # fmt: skip
_BART = {
    "vocab_size": _V, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64,
    "pad_token_id": 1, "decoder_start_token_id": 2,
}  # fmt: skip
_GPT = {"vocab_size": _V, "n_embd": 32, "n_layer": 2, "n_head": 4}
_FALCON = {"vocab_size": _V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_DISENTANGLED = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 16}
_CLIP = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


@dataclass(frozen=True)
class Family:
    """`model_type` as in config.json; `model` and `config` are the library's class names; `route` says how we record:

    "hook" by the library's attention registry, "replay" by watching the model multiply (see those modules).
    """

    model_type: str
    title: str
    model: str
    config: str
    small: dict[str, Any] = field(default_factory=dict)
    notes: str = ""
    route: str = "hook"
    reads: str = "text"  # or "pictures", "sound"


FAMILIES = (
    Family("bert", "BERT, mBERT", "BertForMaskedLM", "BertConfig", _BERT),
    Family("roberta", "RoBERTa", "RobertaForMaskedLM", "RobertaConfig", _BERT | {"pad_token_id": 1}),
    Family("distilbert", "DistilBERT", "DistilBertForMaskedLM", "DistilBertConfig",
           {"vocab_size": _V, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64}),
    Family("albert", "ALBERT", "AlbertForMaskedLM", "AlbertConfig", _BERT | {"embedding_size": 16}, "one shared layer"),
    Family("electra", "ELECTRA", "ElectraForMaskedLM", "ElectraConfig", _BERT | {"embedding_size": 16}),
    Family("modernbert", "ModernBERT", "ModernBertForMaskedLM", "ModernBertConfig",
           _BERT | {"local_attention": 8, "global_attn_every_n_layers": 2, "bos_token_id": 1, "eos_token_id": 2,
                    "cls_token_id": 1, "sep_token_id": 2}, "local and global layers"),
    Family("gpt2", "GPT-2", "GPT2LMHeadModel", "GPT2Config",
           {"vocab_size": _V, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}),
    Family("gpt_neox", "GPT-NeoX, Pythia", "GPTNeoXForCausalLM", "GPTNeoXConfig",
           {k: v for k, v in _LLAMA.items() if k != "num_key_value_heads"}),
    Family("opt", "OPT", "OPTForCausalLM", "OPTConfig",
           {"vocab_size": _V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
            "max_position_embeddings": 64, "word_embed_proj_dim": 32}),
    Family("llama", "Llama, SmolLM2", "LlamaForCausalLM", "LlamaConfig", _LLAMA, "grouped key/value heads"),
    Family("mistral", "Mistral", "MistralForCausalLM", "MistralConfig", _LLAMA | {"sliding_window": 6}, "sliding window"),
    Family("qwen2", "Qwen2", "Qwen2ForCausalLM", "Qwen2Config", _LLAMA),
    Family("qwen3", "Qwen3", "Qwen3ForCausalLM", "Qwen3Config", _LLAMA | {"head_dim": 16}),
    Family("gemma2", "Gemma 2", "Gemma2ForCausalLM", "Gemma2Config", _LLAMA | {"head_dim": 8, "sliding_window": 6},
           "soft-capped scores, sliding window"),
    Family("gemma3_text", "Gemma 3", "Gemma3ForCausalLM", "Gemma3TextConfig", _LLAMA | {"head_dim": 8, "sliding_window": 6},
           "sliding window"),
    Family("phi", "Phi", "PhiForCausalLM", "PhiConfig", _LLAMA | {"num_key_value_heads": 4}),
    Family("phi3", "Phi-3", "Phi3ForCausalLM", "Phi3Config", _LLAMA),
    Family("gpt_oss", "GPT-OSS", "GptOssForCausalLM", "GptOssConfig",
           _LLAMA | {"head_dim": 8, "sliding_window": 6, "num_local_experts": 2, "num_experts_per_tok": 1},
           "attention sinks, sliding window"),
    Family("smollm3", "SmolLM3", "SmolLM3ForCausalLM", "SmolLM3Config", _LLAMA),
    Family("olmo2", "OLMo 2", "Olmo2ForCausalLM", "Olmo2Config", _LLAMA),
    Family("t5", "T5", "T5ForConditionalGeneration", "T5Config", _T5, "scale 1, relative position bias"),
    Family("mt5", "mT5", "MT5ForConditionalGeneration", "MT5Config", _T5, "scale 1, relative position bias"),
    Family("bart", "BART", "BartForConditionalGeneration", "BartConfig", _BART),
    Family("mbart", "mBART", "MBartForConditionalGeneration", "MBartConfig", _BART),
    Family("pegasus", "Pegasus", "PegasusForConditionalGeneration", "PegasusConfig", _BART),
    Family("marian", "Marian", "MarianMTModel", "MarianConfig", _BART | {"decoder_vocab_size": _V}),
    Family("vit", "ViT", "ViTForImageClassification", "ViTConfig",
           {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
            "image_size": 16, "patch_size": 4}, "patches as tokens", reads="pictures"),
    Family("whisper", "Whisper", "WhisperForConditionalGeneration", "WhisperConfig",
           {"vocab_size": _V, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_mel_bins": 8,
            "max_source_positions": 20, "max_target_positions": 16, "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2, "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None},
           "audio frames as tokens", reads="sound"),
    Family("m2m_100", "M2M100, NLLB", "M2M100ForConditionalGeneration", "M2M100Config", _BART),
    Family("openai-gpt", "GPT-1 (2018)", "OpenAIGPTLMHeadModel", "OpenAIGPTConfig", _GPT | {"n_positions": 64},
           "", "replay"),
    Family("gpt_neo", "GPT-Neo", "GPTNeoForCausalLM", "GPTNeoConfig",
           {"vocab_size": _V, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "intermediate_size": 64,
            "max_position_embeddings": 64, "window_size": 6, "attention_types": [[["global", "local"], 1]]},
           "local and global layers, scale 1", "replay"),
    Family("gptj", "GPT-J", "GPTJForCausalLM", "GPTJConfig", _GPT | {"n_positions": 64, "rotary_dim": 4}, "", "replay"),
    Family("bloom", "BLOOM", "BloomForCausalLM", "BloomConfig",
           {"vocab_size": _V, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "ALiBi", "replay"),
    Family("falcon", "Falcon", "FalconForCausalLM", "FalconConfig", _FALCON, "one key/value head", "replay"),
    Family("mpnet", "MPNet", "MPNetForMaskedLM", "MPNetConfig", _BERT | {"pad_token_id": 1},
           "relative position bias", "replay"),
    Family("deberta", "DeBERTa", "DebertaForMaskedLM", "DebertaConfig", _BERT | _DISENTANGLED,
           "disentangled positions", "replay"),
    Family("deberta-v2", "DeBERTa-v2, DeBERTa-v3", "DebertaV2ForMaskedLM", "DebertaV2Config",
           _BERT | _DISENTANGLED | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
           "disentangled positions", "replay"),
    Family("xlnet", "XLNet", "XLNetLMHeadModel", "XLNetConfig",
           {"vocab_size": _V, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}, "relative positions", "replay"),
    Family("xlm", "XLM", "XLMWithLMHeadModel", "XLMConfig",
           {"vocab_size": _V, "emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64,
            "pad_index": 2, "bos_index": 0, "eos_index": 1}, "", "replay"),
    Family("clip", "CLIP", "CLIPModel", "CLIPConfig",
           {"text_config": _CLIP | {"vocab_size": _V, "max_position_embeddings": 64, "eos_token_id": 2},
            "vision_config": _CLIP | {"image_size": 16, "patch_size": 4}, "projection_dim": 16},
           "a tower for pictures and one for texts", reads="pictures"),
)  # fmt: skip


def small_inputs(family: Family, encoder_decoder: bool, n: int = 24, m: int = 9, seed: int = 1) -> dict[str, Any]:
    """Random inputs of batch 1 for `small_model`: n source tokens (or a picture, or sound) and m target tokens."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    if family.reads == "pictures":
        found = {"pixel_values": torch.randn(1, 3, 16, 16, generator=generator)}
        texts = {"input_ids": torch.randint(4, _V, (1, m), generator=generator)} if family.model_type == "clip" else {}
        return found | texts
    if family.reads == "sound":
        found = {"input_features": torch.randn(1, 8, 40, generator=generator)}
    else:
        found = {"input_ids": torch.randint(4, _V, (1, n), generator=generator)}
    return found | ({"decoder_input_ids": torch.randint(4, _V, (1, m), generator=generator)} if encoder_decoder else {})


def small_model(family: Family, seed: int = 0, sharpen: float = 5.0):
    """A tiny random model of the family, its matrices scaled by `sharpen` so that attention is not flat. Untrained."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, family.config)(**family.small)
    model = getattr(transformers, family.model)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(sharpen)
    return model
