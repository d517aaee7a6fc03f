"""Decoder-only families: causal self-attention and next-token prediction."""

from __future__ import annotations

from functools import partial

from model.checkpoints.disk.families.family import VOCABULARY, Family, RandomModel

_LLAMA = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GPT = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4}
_FALCON = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_END_OF_TEXT = RandomModel(("<|endoftext|>",), config={"bos_token_id": 0, "eos_token_id": 0})
_4H = "dense_4h_to_h"
_decoder = partial(Family, architecture="decoder", positions="learned")
_rotary = partial(Family, architecture="decoder", positions="rotary")
_gated = partial(_rotary, gated=("decoder",))

DECODERS = (
    _decoder("openai-gpt", "GPT-1 (2018)", "OpenAIGPTLMHeadModel", "OpenAIGPTConfig", _GPT | {"n_positions": 64},
             route="replay", norm="post", card="gpt",
             random_models=(RandomModel(("<pad>", "<s>", "</s>", "<unk>"), name="gpt"),)),
    _decoder("gpt2", "GPT-2", "GPT2LMHeadModel", "GPT2Config", _GPT | {"n_positions": 64},
             like=("gpt_bigcode", "imagegpt", "decision_transformer"), position_table="wpe", card="gpt2",
             random_models=(_END_OF_TEXT,)),
    _decoder("gpt_neo", "GPT-Neo", "GPTNeoForCausalLM", "GPTNeoConfig",
             {"vocab_size": VOCABULARY, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "intermediate_size": 64,
              "max_position_embeddings": 64, "window_size": 6, "attention_types": [[["global", "local"], 1]]},
             "local and global layers, scale 1", route="replay", position_table="wpe", sharpen=1.0, card="gpt3",
             random_models=(_END_OF_TEXT,)),
    _rotary("gptj", "GPT-J", "GPTJForCausalLM", "GPTJConfig", _GPT | {"n_positions": 64, "rotary_dim": 4},
            route="replay", feed_forward=r"mlp\.fc_out", card="gpt3"),
    _gated("llama", "Llama, SmolLM2", "LlamaForCausalLM", "LlamaConfig", _LLAMA, "grouped key/value heads", card="gpt2",
           random_models=(RandomModel(("<unk>", "<s>", "</s>"), "<s> $A"),)),
    _decoder("opt", "OPT", "OPTForCausalLM", "OPTConfig",
             {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
              "max_position_embeddings": 64, "word_embed_proj_dim": 32}, card="gpt2"),
    _rotary("gpt_neox", "GPT-NeoX, Pythia", "GPTNeoXForCausalLM", "GPTNeoXConfig",
            {k: v for k, v in _LLAMA.items() if k != "num_key_value_heads"}, feed_forward=_4H, card="gpt2"),
    _gated("mistral", "Mistral", "MistralForCausalLM", "MistralConfig", _LLAMA | {"sliding_window": 6}, "sliding window",
           card="gpt2"),
    _gated("qwen2", "Qwen2", "Qwen2ForCausalLM", "Qwen2Config", _LLAMA, card="gpt2"),
    _gated("qwen3", "Qwen3", "Qwen3ForCausalLM", "Qwen3Config", _LLAMA | {"head_dim": 16}, qk_norm=True, card="gpt2"),
    _gated("gemma2", "Gemma 2", "Gemma2ForCausalLM", "Gemma2Config", _LLAMA | {"head_dim": 8, "sliding_window": 6},
           "soft-capped scores, sliding window", norm="sandwich"),
    _gated("gemma3_text", "Gemma 3", "Gemma3ForCausalLM", "Gemma3TextConfig", _LLAMA | {"head_dim": 8, "sliding_window": 6},
           "sliding window", norm="sandwich", qk_norm=True),
    _rotary("phi", "Phi", "PhiForCausalLM", "PhiConfig", _LLAMA | {"num_key_value_heads": 4}),
    _gated("phi3", "Phi-3", "Phi3ForCausalLM", "Phi3Config", _LLAMA),
    _gated("gpt_oss", "GPT-OSS", "GptOssForCausalLM", "GptOssConfig",
           _LLAMA | {"head_dim": 8, "sliding_window": 6, "num_local_experts": 2, "num_experts_per_tok": 1},
           "attention sinks, sliding window", feed_forward=""),
    _gated("smollm3", "SmolLM3", "SmolLM3ForCausalLM", "SmolLM3Config", _LLAMA),
    _gated("olmo2", "OLMo 2", "Olmo2ForCausalLM", "Olmo2Config", _LLAMA, norm="reordered", qk_norm=True),
    _decoder("bloom", "BLOOM", "BloomForCausalLM", "BloomConfig",
             {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "ALiBi", route="replay",
             positions="alibi", feed_forward=_4H, random_models=(RandomModel(("<unk>", "<s>", "</s>", "<pad>")),)),
    _rotary("falcon", "Falcon", "FalconForCausalLM", "FalconConfig", _FALCON, "one key/value head", route="replay",
            feed_forward=_4H),
)  # fmt: skip
