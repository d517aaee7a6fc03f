"""What a library model is, in facts for its card: sizes, attention, positions, parameters of each part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from model.checkpoints.disk import max_length
from model.checkpoints.disk.config_sizes import Sizes
from model.checkpoints.disk.families import TOWERS, rules_of
from model.checkpoints.disk.max_length import UNLIMITED
from model.checkpoints.record.position_tables import sinusoidal_rows, turns
from model.checkpoints.task_heads.outputs import classes_how

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel

T = TypeVar("T")
_FRAMES = re.compile(r"(^|\.)(encoder\.conv\d|feature_extractor|feature_projection)\.")


@dataclass(frozen=True)
class Description:
    """None, () or "" where the configuration does not say. parts: parameters under each top-level module of the backbone.

    layers: one number a stack (the encoder's and the decoder's; the tower's for pictures and that for texts). heads, kv_heads,
    d_model, d_k, d_ff, attention, positions: as many, or one where all stacks have the same.
    task: as the model's; of a classifier that gives one number, or a regression, "score". kv_heads: the key/value heads.
    reads: "text", "pictures", "sound", or "both" for a picture beside a text. max_length: tokens of a text, read or written.
    attention: "multi-head", "grouped" (fewer key/value heads) or "multi-query" (one). positions: "rotary", "relative",
    "alibi", "learned", "sinusoidal" or "convolutional". window: the sliding window's width in tokens. fresh, unused: as in
    `model.checkpoints.library.load.Loaded`.
    """

    family: str
    class_name: str
    task: str
    reads: str
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    d_model: tuple[int, ...]
    d_k: tuple[int, ...]
    d_ff: tuple[int, ...]
    vocabulary: int | None
    max_length: int | None
    attention: tuple[str, ...]
    positions: tuple[str, ...]
    window: int | None
    dtype: str
    parameters: int
    parts: tuple[tuple[str, int], ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...] = ()
    unused_numbers: int = 0


def describe(model: HuggingFaceModel) -> Description:
    """The facts of an opened model, from its configuration and its parameters."""
    config = _config(model.module)
    sizes, longest = Sizes.of(config.to_dict()), _longest(config)
    return Description(
        family=model.family,
        class_name=type(model.module).__name__,
        task=_task(model),
        reads="both" if sizes.second is not None and not sizes.crosses else model.reads,
        layers=sizes.stacks,
        heads=_told(stack.heads for stack in sizes.each),
        kv_heads=_told(stack.groups for stack in sizes.each),
        d_model=_told(stack.d for stack in sizes.each),
        d_k=_told(stack.d_k for stack in sizes.each),
        d_ff=_told(stack.d_ff for stack in sizes.each),
        vocabulary=sizes.vocabulary or None,
        max_length=longest if longest < UNLIMITED else None,
        attention=_told(map(_attention, sizes.each)),
        positions=positions_of(model.module),
        window=sizes.window or None,
        dtype=str(next(model.module.parameters()).dtype).removeprefix("torch."),
        parameters=sum(p.numel() for p in model.module.parameters()),
        parts=_parts(model.module),
        fresh=tuple(model.card.get("fresh", ())),  # type: ignore[arg-type]
        unused=tuple(model.card.get("unused", ())),  # type: ignore[arg-type]
        unused_numbers=int(model.card.get("unused_numbers", 0)),  # type: ignore[call-overload]
    )


def _task(model: HuggingFaceModel) -> str:
    """One number is no class among others, as the page Output says of it, even where a sigmoid makes it a probability."""
    if model.task != "classification":
        return model.task
    count = int(model.module.config.num_labels)
    return "score" if count == 1 or classes_how(model.module.config, count) == "scores" else "classification"


def positions_of(module: nn.Module) -> tuple[str, ...]:
    """How each stack of a library model has its positions, in the words of `Description`; one where all have the same."""
    return _told(_positions(*part) for part in _stacks(module))


def _config(module: nn.Module) -> Any:
    """The configuration of what is there: a classifier of pictures may keep that of the tower for texts it has not."""
    pictures, texts = TOWERS.values()
    alone = hasattr(module, pictures) and not hasattr(module, texts)
    return getattr(module.config, "vision_config", module.config) if alone else module.config


def _told(values: Iterable[T]) -> tuple[T, ...]:
    """One of each stack, one alone where they agree; () where one of them is not known."""
    found = tuple(values)
    return () if not all(found) else found[:1] if len(set(found)) == 1 else found


def _attention(sizes: Sizes) -> str:
    if not sizes.heads:
        return ""
    if sizes.groups == sizes.heads:
        return "multi-head"
    return "multi-query" if sizes.groups == 1 else "grouped"


def _longest(config: Any) -> int:
    """Of a model that reads a picture or a sound what its text may have: the tower's, or what the decoder may write."""
    told = getattr(config, "text_config", None) or getattr(config, "decoder", None) or config
    return int(getattr(told, "max_target_positions", 0) or max_length.longest(told))


def _stacks(module: nn.Module) -> list[tuple[Any, nn.Module]]:
    """(configuration, module) of every stack that has a configuration of its own, else of the whole model."""
    config = _config(module)
    for names in (("encoder", "decoder"), tuple(TOWERS.values())):
        configs = [
            getattr(config, name, None) or getattr(config, f"{name.split('_')[0]}_config", None) for name in names
        ]
        parts = [getattr(module, name, None) for name in names]
        if all(hasattr(each, "model_type") for each in configs) and all(isinstance(part, nn.Module) for part in parts):
            return list(zip(configs, parts, strict=True))
    return [(getattr(config, "text_config", None) or config, part) for part in _sides(module)]


def _sides(module: nn.Module) -> list[nn.Module]:
    """The encoder and the decoder where each has positions of its own (Whisper: fixed sinusoids, learned), else the whole."""
    base = getattr(module, getattr(module, "base_model_prefix", "") or "model", module)
    sides = [getattr(base, name, None) for name in ("encoder", "decoder")]
    own = [
        isinstance(side, nn.Module) and isinstance(getattr(side, "embed_positions", None), nn.Module) for side in sides
    ]
    return sides if all(own) else [module]  # type: ignore[return-value]


def _positions(config: Any, module: nn.Module) -> str:
    """What the configuration and the names of the modules tell; where these do not, what is usual for the family."""
    names = [name for name, _ in module.named_modules()]
    if getattr(config, "alibi", False) or getattr(getattr(config, "attn_config", None), "alibi", False):
        return "alibi"
    if turns(module) or any("rotary" in name for name in names) or getattr(config, "rotary_dim", None):
        return "rotary"
    if any("relative_attention_bias" in name or "rel_embeddings" in name for name in names):
        return "relative"
    if any("pos_conv_embed" in name for name in names):
        return "convolutional"
    tables = [m for name, m in module.named_modules() if "position" in name or name.endswith("wpe")]
    kinds = {type(m).__name__ for m in tables}
    if any("Sinusoidal" in kind for kind in kinds) or any(map(sinusoidal_rows, tables)):
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
    """embedding, attention, feed_forward, norm or other, by the words that library modules are named with.

    What makes frames of a sound, convolutions before the layers, is its embedding.
    """
    low = name.lower()
    if "norm" in low or ".ln_" in low or low.endswith(("ln_f.weight", "ln_f.bias")):
        return "norm"
    if "embed" in low or "wte" in low or "wpe" in low or "shared.weight" in low or "patch" in low:
        return "embedding"
    if _FRAMES.search(low):
        return "embedding"
    if any(word in low for word in ("attn", "attention", "q_proj", "rel_attn")):
        inside = low.split("attention.")[-1] if "attention.output" not in low else low
        return "feed_forward" if "intermediate" in inside or "mlp" in inside else "attention"
    if any(
        word in low
        for word in (
            "mlp",
            "ffn",
            "fc1",
            "fc2",
            "intermediate",
            "densereludense",
            "output.dense",
            ".ff.",
            "feed_forward",
        )
    ):
        return "feed_forward"
    return "other"
