"""What a library model is, in facts for its card: sizes, attention, positions, parameters of each part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from model.checkpoints.disk.config_sizes import Sizes
from model.checkpoints.disk.families import rules_of

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel


@dataclass(frozen=True)
class Description:
    """None or "" where the configuration does not say. parts: parameters under each top-level module of the backbone.

    attention: "multi-head", "grouped" (fewer key/value heads) or "multi-query" (one). positions: "rotary", "relative",
    "alibi", "learned", "sinusoidal" or "". window: the sliding window's width in tokens. fresh, unused: as in
    `model.checkpoints.library.load.Loaded`.
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
    unused: tuple[str, ...] = ()
    unused_numbers: int = 0


def describe(model: HuggingFaceModel) -> Description:
    """The facts of an opened model, from its configuration and its parameters."""
    config = model.module.config
    sizes = Sizes.of(config.to_dict())
    heads, kv = sizes.heads, sizes.groups
    return Description(
        family=model.family,
        class_name=type(model.module).__name__,
        task=model.task,
        layers=sizes.stacks,
        heads=heads or None,
        kv_heads=kv or None,
        d_model=sizes.d or None,
        d_k=sizes.d_k or None,
        d_ff=sizes.d_ff or None,
        vocabulary=sizes.vocabulary or None,
        max_length=model.max_length if model.max_length < 1_000_000 else None,
        attention="multi-query" if kv == 1 != heads else "grouped" if kv != heads else "multi-head",
        positions=positions_of(model.module),
        window=sizes.window or None,
        dtype=str(next(model.module.parameters()).dtype).removeprefix("torch."),
        parameters=sum(p.numel() for p in model.module.parameters()),
        parts=_parts(model.module),
        fresh=tuple(model.card.get("fresh", ())),  # type: ignore[arg-type]
        unused=tuple(model.card.get("unused", ())),  # type: ignore[arg-type]
        unused_numbers=int(model.card.get("unused_numbers", 0)),  # type: ignore[call-overload]
    )


def positions_of(module: nn.Module) -> str:
    """Where a library model has its positions ("rotary", "relative", "alibi", "sinusoidal", "learned", …).

    The configuration and the names of the modules tell it; where these do not, what is usual for the family.
    """
    config = getattr(module.config, "text_config", None) or module.config
    names = [name for name, _ in module.named_modules()]
    if getattr(config, "alibi", False):
        return "alibi"
    if any("rotary" in name for name in names) or getattr(config, "rotary_dim", None):
        return "rotary"
    if any("relative_attention_bias" in name or "rel_embeddings" in name for name in names):
        return "relative"
    kinds = {type(m).__name__ for name, m in module.named_modules() if "position" in name or name.endswith("wpe")}
    if any("Sinusoidal" in kind for kind in kinds):
        return "sinusoidal"
    learned = any("Embedding" in kind for kind in kinds) or any(
        "position_embed" in n for n, _ in module.named_parameters()
    )
    return "learned" if learned else rules_of(config.model_type).positions


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
