"""A fairseq RoBERTa over single characters (proteins) -> RobertaForMaskedLM with a tokenizer of those characters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.checkpoints.convert.raw_tensors import save_model, torch_weights
from model.errors import NotConverted
from model.files.regular import text_of
from model.jobs.progress import tick

_START, _PAD, _END, _UNKNOWN, _MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
_LAYER = {
    "self_attn.q_proj": "attention.self.query", "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value", "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm", "fc1": "intermediate.dense", "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}  # fmt: skip
_WHOLE = {
    "sentence_encoder.embed_tokens": "roberta.embeddings.word_embeddings",
    "sentence_encoder.embed_positions": "roberta.embeddings.position_embeddings",
    "sentence_encoder.emb_layer_norm": "roberta.embeddings.LayerNorm",
    "lm_head.dense": "lm_head.dense", "lm_head.layer_norm": "lm_head.layer_norm",
}  # fmt: skip


def write(weights: Path, folder: Path) -> None:
    """Convert `weights`, whose dictionary is the dict.txt beside it. Raises NotConverted for another design."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    tick("converting", 0.1)
    found = torch_weights(weights)
    settings, given = vars(found.get("args", argparse.Namespace())), found["model"]
    lines = text_of(weights.parent / "dict.txt").splitlines()
    # fairseq puts its own four in front of the dictionary, and the mask behind it.
    words = [_START, _PAD, _END, _UNKNOWN, *(line.rpartition(" ")[0] for line in lines), _MASK]
    if any(len(word) != 1 for word in words[4:-1]) or "decoder.lm_head.weight" not in given or not settings:
        raise NotConverted(path=weights, reason="of fairseq only RoBERTa over single characters is converted")
    tied = torch.equal(given["decoder.lm_head.weight"], given["decoder.sentence_encoder.embed_tokens.weight"])
    config = RobertaConfig(
        vocab_size=len(words), hidden_size=settings["encoder_embed_dim"], num_hidden_layers=settings["encoder_layers"],
        num_attention_heads=settings["encoder_attention_heads"], intermediate_size=settings["encoder_ffn_embed_dim"],
        hidden_act=settings["activation_fn"], max_position_embeddings=settings["max_positions"] + 2, type_vocab_size=1,
        layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2, tie_word_embeddings=tied,
    )  # fmt: skip
    tick("converting", 0.5)
    save_model(config, RobertaForMaskedLM, _state(given, config.hidden_size), weights, folder)
    tokenizer(words, settings["max_positions"]).save_pretrained(folder)


def _state(given: dict[str, Tensor], d: int) -> dict[str, Tensor]:
    """fairseq's names -> the library's. fairseq has no token types: their one vector is 0, which adds nothing."""
    state = {"roberta.embeddings.token_type_embeddings.weight": torch.zeros(1, d)}
    for name, tensor in given.items():
        name = name.removeprefix("decoder.")
        owner, _, kind = name.rpartition(".")
        if name.startswith("sentence_encoder.layers."):
            _, _, layer, part = owner.split(".", 3)
            owner = f"roberta.encoder.layer.{layer}.{_LAYER.get(part, part)}"
        if owner == "lm_head":
            state[f"lm_head.decoder.{kind}"] = tensor
            if kind == "bias":
                state["lm_head.bias"] = tensor
        else:
            state[f"{_WHOLE.get(owner, owner)}.{kind}"] = tensor
    return state


def tokenizer(words: list[str], length: int) -> Any:
    """<s> one token a character </s>."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=_UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), behavior="isolated")]
    )
    core.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_END}",
        special_tokens=[(_START, words.index(_START)), (_END, words.index(_END))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=length, bos_token=_START, pad_token=_PAD, eos_token=_END,
        cls_token=_START, sep_token=_END, unk_token=_UNKNOWN, mask_token=_MASK,
    )  # fmt: skip
