"""A Whisper model of CTranslate2 (model.bin) -> WhisperForConditionalGeneration, in the precision of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from model.checkpoints.convert.raw_tensors import ctranslate2_weights, save_model
from model.errors import NotConverted
from model.files.regular import MOST, json_of
from model.jobs.progress import tick

_SPEC = "WhisperSpec"


def write(weights: Path, folder: Path) -> None:
    """Convert `weights`, whose config.json and tokenizer.json lie beside it. Raises NotConverted for others."""
    from transformers import WhisperForConditionalGeneration

    name, given = ctranslate2_weights(weights)
    if name != _SPEC or any(key.endswith("_scale") for key in given):
        raise NotConverted(
            path=weights, reason=f"of CTranslate2 only {_SPEC} in floating point is converted, and this is {name}"
        )
    told = json_of(weights.parent / "config.json")
    tokens = json_of(weights.parent / "tokenizer.json", MOST)
    ids = tokens["model"]["vocab"] | {token["content"]: token["id"] for token in tokens["added_tokens"]}
    config = _config(given, ids)
    tick("converting", 0.7)
    state = {key: tensor for side in ("encoder", "decoder") for key, tensor in _side(given, side).items()}
    save_model(config, WhisperForConditionalGeneration, state, weights, folder)
    _beside(weights, folder, config, ids, told)


def _config(given: dict[str, Tensor], ids: dict[str, int]) -> Any:
    """The configuration, from the shapes of the tensors and the ids of the special tokens."""
    from transformers import WhisperConfig

    vocabulary, d = given["decoder/embeddings/weight"].shape
    layers = {
        side: sum(key.startswith(f"{side}/layer_") and key.endswith("ffn/linear_0/bias") for key in given)
        for side in ("encoder", "decoder")
    }
    f = {side: given[f"{side}/layer_0/ffn/linear_0/bias"].shape[0] for side in layers}
    end = ids["<|endoftext|>"]
    return WhisperConfig(
        vocab_size=vocabulary, d_model=d, num_mel_bins=given["encoder/conv1/weight"].shape[1],
        encoder_layers=layers["encoder"], decoder_layers=layers["decoder"],
        encoder_attention_heads=int(given["encoder/num_heads"]), decoder_attention_heads=int(given["decoder/num_heads"]),
        encoder_ffn_dim=f["encoder"], decoder_ffn_dim=f["decoder"],
        max_source_positions=given["encoder/position_encodings/encodings"].shape[0],
        max_target_positions=given["decoder/position_encodings/encodings"].shape[0],
        decoder_start_token_id=ids["<|startoftranscript|>"], bos_token_id=end, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip


def _side(given: dict[str, Tensor], side: str) -> dict[str, Tensor]:
    """One stack. CTranslate2 keeps q, k and v of self-attention in one matrix, k and v of cross-attention in another."""
    state = {f"model.{side}.embed_positions.weight": given[f"{side}/position_encodings/encodings"]}
    if side == "decoder":
        state["model.decoder.embed_tokens.weight"] = given["decoder/embeddings/weight"]
    for name in ("conv1", "conv2") if side == "encoder" else ():
        state |= {f"model.encoder.{name}.{kind}": given[f"encoder/{name}/{kind}"] for kind in ("weight", "bias")}
    _norm(state, given, f"{side}/layer_norm", f"model.{side}.layer_norm")
    layers = sorted({key.split("/")[1] for key in given if key.startswith(f"{side}/layer_") and "/ffn/" in key})
    for layer in layers:
        old, new = f"{side}/{layer}", f"model.{side}.layers.{layer.removeprefix('layer_')}"
        _attention(state, given, f"{old}/self_attention", f"{new}.self_attn", ["qkv", "o"])
        if side == "decoder":
            _attention(state, given, f"{old}/attention", f"{new}.encoder_attn", ["q", "kv", "o"])
        _norm(state, given, f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")
        for i, name in enumerate(("fc1", "fc2")):
            state |= {f"{new}.{name}.{kind}": given[f"{old}/ffn/linear_{i}/{kind}"] for kind in ("weight", "bias")}
    return state


def _norm(state: dict[str, Tensor], given: dict[str, Tensor], old: str, new: str) -> None:
    state[f"{new}.weight"], state[f"{new}.bias"] = given[f"{old}/gamma"], given[f"{old}/beta"]


def _attention(state: dict[str, Tensor], given: dict[str, Tensor], old: str, new: str, packed: list[str]) -> None:
    """packed: what each linear holds, "qkv" being three matrices of equal height one below the other."""
    names = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj"}
    for i, held in enumerate(packed):
        for kind in ("weight", "bias"):
            for letter, part in zip(held, given[f"{old}/linear_{i}/{kind}"].chunk(len(held)), strict=True):
                if (letter, kind) != ("k", "bias"):
                    state[f"{new}.{names[letter]}.{kind}"] = part
                elif part.any():  # Whisper's keys have no bias; the packed matrix has zeros there
                    raise ValueError(f"{old} has a bias of the keys")
    _norm(state, given, f"{old}/layer_norm", f"{new}_layer_norm")


def _beside(weights: Path, folder: Path, config: Any, ids: dict[str, int], told: dict[str, Any]) -> None:
    """The tokenizer, the reader of sound, and what `generate` needs to know."""
    from transformers import GenerationConfig, PreTrainedTokenizerFast, WhisperFeatureExtractor

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(weights.parent / "tokenizer.json"), bos_token="<|endoftext|>", eos_token="<|endoftext|>",
        unk_token="<|endoftext|>", pad_token="<|endoftext|>",
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    many = "<|zh|>" in ids and config.vocab_size > 51864  # the English-only models have one token fewer
    # Made anew, not from the model's configuration: such a one forgets the names that only Whisper's `generate` knows.
    GenerationConfig(
        alignment_heads=told.get("alignment_heads"), no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids.get("<|startofprev|>"), is_multilingual=many, return_timestamps=False,
        max_length=config.max_target_positions, decoder_start_token_id=config.decoder_start_token_id,
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id,
        suppress_tokens=told.get("suppress_ids"), begin_suppress_tokens=told.get("suppress_ids_begin"),
    ).save_pretrained(folder)  # fmt: skip
