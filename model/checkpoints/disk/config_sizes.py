"""The sizes of a library model under the several names that configurations give them; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.checkpoints.disk.families import rules_of


@dataclass(frozen=True)
class Sizes:
    """0 where the configuration does not say. layers: of the encoder, or of the only stack; groups: key/value heads.

    window: the sliding window's width in tokens. both: an encoder and a decoder, whose layers attend twice.
    """

    layers: int
    decoder_layers: int
    d: int
    heads: int
    decoder_heads: int
    groups: int
    d_k: int
    d_ff: int
    vocabulary: int
    window: int
    both: bool

    @staticmethod
    def of(config: Mapping[str, Any]) -> Sizes:
        """config: config.json or a configuration's `to_dict()`; of one with two towers the text's."""
        told = config.get("text_config") or config

        own = rules_of(str(told.get("model_type"))).config_names

        def first(size: str, *names: str) -> int:
            """The first of these that the configuration has as a number; before them the family's own name of the size."""
            values = (told.get(name) for name in (own.get(size), *names))
            return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), 0)

        both = bool(told.get("is_encoder_decoder"))
        d = first("d", "hidden_size", "n_embd", "d_model", "dim", "emb_dim")
        heads = first("heads", "num_attention_heads", "encoder_attention_heads", "n_head", "n_heads", "num_heads")
        layers = first("layers", "encoder_layers", "num_hidden_layers", "n_layer", "n_layers", "num_layers")
        groups = first("groups", "num_key_value_heads", "num_kv_heads") or heads
        if told.get("multi_query") and not told.get("new_decoder_architecture"):
            groups = 1  # Falcon's number of key/value heads is one that this kind does not read
        return Sizes(
            layers=layers,
            decoder_layers=(first("decoder_layers", "decoder_layers", "num_decoder_layers") or layers) if both else 0,
            d=d,
            heads=heads,
            decoder_heads=first("decoder_heads", "decoder_attention_heads") or heads,
            groups=groups,
            d_k=first("d_k", "head_dim", "d_kv") or (d // heads if heads else 0),
            d_ff=first("d_ff", "intermediate_size", "n_inner", "d_ff", "hidden_dim", "encoder_ffn_dim", "ffn_dim",
                       "ffn_hidden_size", "d_inner"),
            vocabulary=first("vocabulary", "vocab_size"),
            window=first("window", "sliding_window", "window_size"),
            both=both,
        )  # fmt: skip

    @property
    def stacks(self) -> tuple[int, ...]:
        """(layers,) or (encoder's, decoder's), without those that are not said."""
        return tuple(filter(None, (self.layers, self.decoder_layers)))

    @property
    def calls(self) -> int:
        """Attention calls of one forward: a decoder's layer beside an encoder makes two."""
        return self.layers + 2 * self.decoder_layers
