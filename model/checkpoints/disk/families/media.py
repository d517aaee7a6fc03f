"""Families that read pictures or sound."""

from __future__ import annotations

from functools import partial

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
_SIGLIP = {
    "text_config": _VIT | {"vocab_size": VOCABULARY, "max_position_embeddings": 9, "bos_token_id": 1, "eos_token_id": 2,
                           "pad_token_id": 2},
    "vision_config": _VIT | _PIXELS,
}  # fmt: skip
_TROCR = {
    "encoder": _VIT | _PIXELS | {"model_type": "vit"},
    "decoder": {"model_type": "trocr", "vocab_size": VOCABULARY, "d_model": 32, "decoder_layers": 2,
                "decoder_attention_heads": 4, "decoder_ffn_dim": 64, "max_position_embeddings": 24,
                "cross_attention_hidden_size": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
                "decoder_start_token_id": 2},
    "decoder_start_token_id": 2, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
_WAV2VEC2 = _VIT | {
    "vocab_size": 32, "conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (5, 4), "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_MOONSHINE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "encoder_num_hidden_layers": 2,
    "decoder_num_hidden_layers": 2, "encoder_num_attention_heads": 4, "decoder_num_attention_heads": 4,
    "max_position_embeddings": 24, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip

_pictures = partial(Family, reads="pictures", positions="learned")
_towers = partial(_pictures, architecture="dual encoder", sharpen=1.0)
_writes = partial(Family, architecture="encoder-decoder", card="transformer")

MEDIA = (
    _pictures("vit", "ViT", "ViTForImageClassification", "ViTConfig", _VIT | _PIXELS, "patches as tokens", architecture="encoder",
              processor="ViTImageProcessor"),
    _towers("clip", "CLIP", "CLIPModel", "CLIPConfig", _CLIP, "a tower for pictures and one for texts",
            tower_types=("clip_vision_model",), processor="CLIPImageProcessor", center_crop=True),
    _towers("siglip", "SigLIP", "SiglipModel", "SiglipConfig", _SIGLIP, "a tower for pictures and one for texts, neither masked",
            unregistered=True, tower_types=("siglip_vision_model",), processor="SiglipImageProcessor", captions="sigmoid",
            pads_texts=True),
    _writes("vision-encoder-decoder", "TrOCR", "VisionEncoderDecoderModel", "VisionEncoderDecoderConfig", _TROCR,
            "patches read, text written", route="", reads="pictures", positions="learned", norm="",
            processor="ViTImageProcessor"),
    Family("wav2vec2", "Wav2Vec2", "Wav2Vec2ForCTC", "Wav2Vec2Config", _WAV2VEC2,
           "audio frames as tokens, a character for each", architecture="encoder", reads="sound",
           like=("hubert", "unispeech", "unispeech-sat", "data2vec-audio"), positions="convolutional", norm="post",
           feed_forward=r"feed_forward\.output_dense", processor="Wav2Vec2FeatureExtractor"),
    _writes("moonshine", "Moonshine", "MoonshineForConditionalGeneration", "MoonshineConfig", _MOONSHINE,
            "audio frames as tokens", reads="sound", positions="rotary", gated=("decoder",),
            processor="Wav2Vec2FeatureExtractor"),
    _writes("whisper", "Whisper", "WhisperForConditionalGeneration", "WhisperConfig", _WHISPER, "audio frames as tokens",
            reads="sound", positions="learned", processor="WhisperFeatureExtractor"),
)  # fmt: skip
