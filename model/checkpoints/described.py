"""What a library model is, in facts for its card: sizes, attention, positions, parameters of each part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from model.checkpoints.hugging_face import HuggingFaceModel


# What configurations call the width of the feed-forward part.
_D_FF = (
    "intermediate_size", "n_inner", "d_ff", "hidden_dim", "encoder_ffn_dim", "ffn_dim", "ffn_hidden_size", "d_inner",
)  # fmt: skip


@dataclass(frozen=True)
class Description:
    """None or "" where the configuration does not say. parts: parameters under each top-level module of the backbone.

    attention: "multi-head", "grouped" (fewer key/value heads) or "multi-query" (one). positions: "rotary", "relative",
    "alibi", "learned", "sinusoidal" or "". window: the sliding window's width in tokens.
    """

    family: str
    class_name: str
    task: str
    layers: tuple[int, ...]
    heads: int | None
    kv_heads: int | None
    d_model: int | None
    d_k: int | None
    d_ff: int | None
    vocabulary: int | None
    max_length: int | None
    attention: str
    positions: str
    window: int | None
    dtype: str
    parameters: int
    parts: tuple[tuple[str, int], ...]
    fresh: tuple[str, ...]


def describe(model: HuggingFaceModel) -> Description:
    """The facts of an opened model, from its configuration and its parameters."""
    config = model.module.config
    text = getattr(config, "text_config", None) or config
    heads, kv = _number(text, "num_attention_heads", "n_head", "num_heads", "encoder_attention_heads"), None
    kv = _number(text, "num_key_value_heads", "num_kv_heads") or heads
    if getattr(text, "multi_query", False) and not getattr(text, "new_decoder_architecture", False):
        kv = 1  # Falcon's number of key/value heads is one that this kind does not read
    d_model = _number(text, "hidden_size", "n_embd", "d_model", "dim")
    d_k = _number(text, "head_dim", "d_kv") or (d_model // heads if d_model and heads else None)
    return Description(
        family=model.family,
        class_name=type(model.module).__name__,
        task=model.task,
        layers=_layers(text),
        heads=heads,
        kv_heads=kv,
        d_model=d_model,
        d_k=d_k,
        d_ff=_number(text, *_D_FF),
        vocabulary=_number(text, "vocab_size"),
        max_length=model.max_length if model.max_length < 1_000_000 else None,
        attention="multi-query" if kv == 1 != heads else "grouped" if kv != heads else "multi-head",
        positions=_positions(text, model.module),
        # ModernBERT's sliding_window counts one side alone.
        window=_number(text, "local_attention", "sliding_window", "window_size"),
        dtype=str(next(model.module.parameters()).dtype).removeprefix("torch."),
        parameters=sum(p.numel() for p in model.module.parameters()),
        parts=_parts(model.module),
        fresh=tuple(model.card.get("fresh", ())),  # type: ignore[arg-type]
    )


def _number(config: Any, *names: str) -> int | None:
    """The first of these that the configuration has as a number."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _layers(config: Any) -> tuple[int, ...]:
    """(layers,) or (encoder's, decoder's)."""
    if not getattr(config, "is_encoder_decoder", False):
        return tuple(filter(None, [_number(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")]))
    encoder = _number(config, "encoder_layers", "num_layers", "num_hidden_layers")
    decoder = _number(config, "decoder_layers", "num_decoder_layers", "num_layers")
    return tuple(filter(None, [encoder, decoder]))


def _positions(config: Any, module: nn.Module) -> str:
    names = [name for name, _ in module.named_modules()]
    if getattr(config, "alibi", False) or config.model_type == "bloom":
        return "alibi"
    if any("rotary" in name for name in names) or getattr(config, "rotary_dim", None):
        return "rotary"
    if any("relative_attention_bias" in name or "rel_embeddings" in name or "rel_attn" in name for name in names):
        return "relative"
    kinds = {type(m).__name__ for name, m in module.named_modules() if "position" in name or name.endswith("wpe")}
    if any("Sinusoidal" in kind for kind in kinds):
        return "sinusoidal"
    learned = any("Embedding" in kind for kind in kinds) or any(
        "position_embed" in n for n, _ in module.named_parameters()
    )
    return "learned" if learned else ""


def _parts(module: nn.Module) -> tuple[tuple[str, int], ...]:
    """Parameters by kind of part, each tensor counted once however often it is shared."""
    counts: Counter[str] = Counter()
    for name, parameter in module.named_parameters():
        counts[_kind(name)] += parameter.numel()
    return tuple(sorted(counts.items(), key=lambda item: -item[1]))


def _kind(name: str) -> str:
    """embedding, attention, feed_forward, norm or other, by the words that library modules are named with."""
    low = name.lower()
    if "norm" in low or ".ln_" in low or low.endswith(("ln_f.weight", "ln_f.bias")):
        return "norm"
    if "embed" in low or "wte" in low or "wpe" in low or "shared.weight" in low or "patch" in low:
        return "embedding"
    if any(word in low for word in ("attn", "attention", "q_proj", "rel_attn")):
        inside = low.split("attention.")[-1] if "attention.output" not in low else low
        return "feed_forward" if "intermediate" in inside or "mlp" in inside else "attention"
    if any(
        word in low for word in ("mlp", "ffn", "fc1", "fc2", "intermediate", "densereludense", "output.dense", ".ff.")
    ):
        return "feed_forward"
    return "other"
