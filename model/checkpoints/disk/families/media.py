"""Families that read pictures or sound."""

from __future__ import annotations

from model.checkpoints.disk.families.family import VOCABULARY, Family

_VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_PIXELS = {"image_size": 16, "patch_size": 4}
_WHISPER = {
    "vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_mel_bins": 8,
    "max_source_positions": 20, "max_target_positions": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None,
}  # fmt: skip
_CLIP = {
    "text_config": _VIT | {"vocab_size": VOCABULARY, "max_position_embeddings": 64, "eos_token_id": 2},
    "vision_config": _VIT | _PIXELS,
    "projection_dim": 16,
}

MEDIA = (
    Family(
        "vit", "ViT", "ViTForImageClassification", "ViTConfig", _VIT | _PIXELS, "patches as tokens",
        architecture="encoder",
        reads="pictures",
        positions="learned",
        processor="ViTImageProcessor",
    ),
    Family(
        "clip", "CLIP", "CLIPModel", "CLIPConfig", _CLIP, "a tower for pictures and one for texts",
        architecture="dual encoder",
        reads="pictures",
        tower_types=("clip_vision_model",),
        positions="learned",
        processor="CLIPImageProcessor",
        center_crop=True,
        sharpen=1.0,
    ),
    Family(
        "whisper", "Whisper", "WhisperForConditionalGeneration", "WhisperConfig", _WHISPER, "audio frames as tokens",
        architecture="encoder-decoder",
        reads="sound",
        positions="learned",
        processor="WhisperFeatureExtractor",
        card="transformer",
    ),
)  # fmt: skip
