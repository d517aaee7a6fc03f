"""Encoder–decoder families of texts: a source is encoded, a target is generated token by token."""

from __future__ import annotations

from functools import partial

from model.checkpoints.disk.families.family import VOCABULARY, Family, RandomModel

_T5 = {
    "vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "num_layers": 2, "num_heads": 4, "d_ff": 64,
    "decoder_start_token_id": 0,
}  # fmt: skip
_BART = {
    "vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64,
    "pad_token_id": 1, "decoder_start_token_id": 2,
}  # fmt: skip
# T5 was trained with the task written before the text.
_PREFIXED = ("summarize: The quick brown fox jumps over the lazy dog.", "translate English to German: I like cats.")
_both = partial(Family, architecture="encoder-decoder")
_t5 = partial(_both, positions="relative", unlimited_length=True, cross_attention="EncDecAttention",
              feed_forward=r"DenseReluDense\.wo", examples=_PREFIXED, card="t5", sharpen=1.0)  # fmt: skip

ENCODER_DECODERS = (
    _t5("t5", "T5", "T5ForConditionalGeneration", "T5Config", _T5, "scale 1, relative position bias",
        like=("umt5", "longt5", "switch_transformers"),
        random_models=(RandomModel(("<pad>", "</s>", "<unk>"), "$A </s>", config={"pad_token_id": 0, "eos_token_id": 1},
                                   sharpen=1.0),)),
    _t5("mt5", "mT5", "MT5ForConditionalGeneration", "MT5Config", _T5, "scale 1, relative position bias",
        gated=("encoder", "decoder")),
    _both("bart", "BART", "BartForConditionalGeneration", "BartConfig", _BART, positions="learned", norm="post", card="bart",
          like=("trocr",),
          # The seed is the first of a few whose decoder does not stop at once.
          random_models=(RandomModel(("<s>", "<pad>", "</s>", "<unk>", "<mask>"), "<s> $A </s>", seed=2,
                                     config={"bos_token_id": 0, "eos_token_id": 2, "forced_eos_token_id": None}),)),
    _both("mbart", "mBART", "MBartForConditionalGeneration", "MBartConfig", _BART, positions="learned", card="bart"),
    _both("pegasus", "Pegasus", "PegasusForConditionalGeneration", "PegasusConfig", _BART, positions="sinusoidal",
          card="bart"),
    _both("marian", "Marian", "MarianMTModel", "MarianConfig", _BART | {"decoder_vocab_size": VOCABULARY},
          positions="sinusoidal", norm="post", card="transformer"),
    _both("m2m_100", "M2M100, NLLB", "M2M100ForConditionalGeneration", "M2M100Config", _BART, positions="sinusoidal"),
)  # fmt: skip
