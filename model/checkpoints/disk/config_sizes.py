"""The sizes of a library model under the several names that configurations give them; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model.checkpoints.disk.families import rules_of

# The width of a head's queries and keys. Some configurations have two: Zamba2's attention reads two streams side by side, and
# its kv_channels is of one.
_HEAD_WIDTHS = ("head_dim", "d_kv", "d_head", "attention_head_dim", "attention_head_size", "kv_channels")


@dataclass(frozen=True)
class Sizes:
    """Of the encoder, or of the only stack; 0 where the configuration does not say. groups: key/value heads.

    window: the sliding window's width in tokens. second: the sizes of the decoder behind the encoder, or of the tower for
    texts beside that for pictures. crosses: whether the second's layers attend twice, to themselves and to the encoder.
    """

    layers: int
    d: int
    heads: int
    groups: int
    d_k: int
    d_ff: int
    vocabulary: int
    window: int
    second: Sizes | None = None
    crosses: bool = False

    @staticmethod
    def of(config: Mapping[str, Any]) -> Sizes:
        """config: config.json or a configuration's `to_dict()`; of one that also reads pictures for its text, the text's."""
        told = config.get("text_config") or config
        parts = [config.get(name) for name in ("encoder", "decoder")]
        if all(isinstance(part, Mapping) for part in parts):  # an encoder and a decoder of any two families
            first, second = (_of_stack(part, name) for part, name in zip(parts, ("encoder", "decoder"), strict=True))
        elif rules_of(str(config.get("model_type"))).architecture == "dual encoder" and "vision_config" in config:
            pictures, texts = (_of_stack(config[f"{name}_config"], "encoder") for name in ("vision", "text"))
            return replace(pictures, vocabulary=texts.vocabulary, second=texts)
        elif told.get("is_encoder_decoder"):
            first, second = (_of_stack(told, name) for name in ("encoder", "decoder"))
        else:
            return _of_stack(told, "decoder" if told.get("is_decoder") else "encoder")
        return replace(first, vocabulary=second.vocabulary, second=second, crosses=True)

    @property
    def each(self) -> tuple[Sizes, ...]:
        """Of every stack, in the order in which they are run."""
        return (self,) if self.second is None else (self, self.second)

    @property
    def stacks(self) -> tuple[int, ...]:
        """(layers,), or those of both stacks, without those that are not said."""
        return tuple(filter(None, (stack.layers for stack in self.each)))

    @property
    def calls(self) -> int:
        """Attention calls of one forward: a decoder's layer beside an encoder makes two."""
        return self.layers + (0 if self.second is None else self.second.layers * (2 if self.crosses else 1))


def _of_stack(told: Mapping[str, Any], stack: str) -> Sizes:
    """The sizes of one stack, whose own names ("decoder_layers", "encoder_num_attention_heads") come before the common."""
    own = rules_of(str(told.get("model_type"))).config_names

    def first(size: str, *names: str) -> int:
        """The first of these that the configuration has as a number; before them the family's own name of the size."""
        values = (told.get(name) for name in (own.get(size), *names))
        return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), 0)

    def of_either(size: str, *names: str) -> int:
        return first(size, *(f"{stack}_{name}" for name in names), f"num_{stack}_{names[0]}", *names)

    d = first("d", "hidden_size", "n_embd", "d_model", "dim", "emb_dim")
    heads = of_either("heads", "attention_heads", "num_attention_heads", "n_head", "n_heads", "num_heads")
    groups = of_either("groups", "num_key_value_heads", "num_kv_heads") or heads
    if told.get("kv_channels") and told.get("num_experts_per_tok"):
        heads = groups * first(
            "", "num_experts_per_tok"
        )  # JetMoE's queries: a head of each chosen expert for every key head
    if told.get("multi_query") and not told.get("new_decoder_architecture"):
        groups = 1  # Falcon's number of key/value heads is one that this kind does not read
    return Sizes(
        # ALBERT runs a group of so many layers in the place of each.
        layers=of_either("layers", "layers", "num_hidden_layers", "n_layer", "n_layers", "num_layers")
        * (first("", "inner_group_num") or 1),
        d=d,
        heads=heads,
        groups=groups,
        d_k=_latent(told) or first("d_k", *_HEAD_WIDTHS) or ((first("", "true_hidden_size") or d) // heads if heads else 0),
        d_ff=of_either("d_ff", "ffn_dim", "intermediate_size", "n_inner", "d_ff", "hidden_dim", "ffn_hidden_size", "d_inner"),
        vocabulary=first("vocabulary", "vocab_size"),
        window=first("window", "sliding_window", "window_size"),
    )  # fmt: skip


def _latent(told: Mapping[str, Any]) -> int:
    """d_k of latent attention (DeepSeek-V2, section 2.1): numbers without positions and, beside them, rotated ones; 0 of others.

    There "head_dim" is that of the rotated ones alone.
    """
    parts = [told.get(f"qk_{kind}_head_dim") for kind in ("nope", "rope")]
    return sum(parts) if all(isinstance(part, int) for part in parts) else 0  # type: ignore[arg-type]
