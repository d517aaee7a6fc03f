"""The four files of a checkpoint of ours, read and held against each other before anything is built of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from model.checkpoints.disk.card import card_of, vocabulary_of
from model.checkpoints.disk.headers import safetensors_header
from model.files.regular import json_of
from model.text.tokenizer import END, Tokenizer
from model.transformer.config import TransformerConfig

FILES = ("weights.safetensors", "config.json", "vocabulary.json", "card.json")
_LAYER = re.compile(r"(encoder|decoder)\.([0-9]{1,6})\.")
_LONGEST = 100_000  # tokens of a position table, which no weight tells of


@dataclass(frozen=True)
class OwnFiles:
    """What the files say, each of its own kind and all of the same model."""

    config: TransformerConfig
    source: Tokenizer
    target: Tokenizer
    starts: Mapping[str, str]
    card: Mapping[str, object]


def read(folder: Path) -> OwnFiles:
    """Raises ValueError in words, OSError, KeyError or TypeError."""
    told = json_of(folder / "config.json")
    if not isinstance(told, dict):
        raise ValueError("config.json is not a table")
    if unknown := sorted(told.keys() - {field.name for field in fields(TransformerConfig)}):
        raise ValueError(f"its config.json has {', '.join(unknown)}, which this version does not know")
    config = TransformerConfig(**told)
    _check_sizes(config, safetensors_header(folder / "weights.safetensors"))
    words, card = vocabulary_of(folder), card_of(folder)
    source, target = (Tokenizer(tuple(words[side]), words["kind"], config.max_length) for side in ("source", "target"))
    sizes = ((source, config.source_vocabulary), (target, config.target_vocabulary))
    for tokenizer, expected in sizes:
        if len(tokenizer) != expected:
            raise ValueError(f"the vocabulary has {len(tokenizer)} tokens, but the configuration says {expected}")
        if len(tokenizer.ids) != expected:
            raise ValueError("a token stands twice in the vocabulary")
    starts = dict(words["starts"])
    if any(start not in target.ids for start in starts.values()) or END not in target.ids:
        raise ValueError("a start or end token is not in the target vocabulary")
    _check_card(card, config)
    return OwnFiles(config, source, target, starts, card)


def _check_sizes(config: TransformerConfig, header: Mapping[str, Any]) -> None:
    """Raises ValueError, with both numbers, where a size is not that of the weights: building takes memory as it says."""
    shapes = {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    layers = dict.fromkeys(("encoder", "decoder"), 0)
    for found in filter(None, map(_LAYER.match, shapes)):
        layers[found[1]] = max(layers[found[1]], int(found[2]) + 1)

    def size(name: str, axis: int) -> int | None:
        shape = shapes.get(name, ())
        return shape[axis] if axis < len(shape) else None

    there = {
        "encoder_layers": layers["encoder"], "decoder_layers": layers["decoder"],
        "source_vocabulary": size("source.tokens.weight", 0), "target_vocabulary": size("target.tokens.weight", 0),
        "d_model": size("source.tokens.weight", 1), "d_ff": size("encoder.0.ffn.W_1.bias", 0),
    }  # fmt: skip
    for name, got in there.items():
        if got != getattr(config, name):
            raise ValueError(f"its weights have {name} {got}, and its config.json says {getattr(config, name):,}")
    for name in ("max_length", "relative_distance"):
        if getattr(config, name) > _LONGEST:
            raise ValueError(f"its config.json has {name} {getattr(config, name):,}, and at most {_LONGEST:,} are made")


def _check_card(card: Mapping[str, Any], config: TransformerConfig) -> None:
    """Raises ValueError where the card speaks of a head that the model has not."""
    layers = {"encoder": config.encoder_layers, "decoder": config.decoder_layers}
    told = [each for both in card.get("alignment", {}).values() for each in both.values() if each]
    found = [(each["site"], each["head"]) for each in told]
    found += [(site, len(row) - 1) for each in told for site, row in each.get("every_head", {}).items()]
    about = (card.get("coreference") or {}).values()
    found += [(each["site"], each["head"]) for each in about if isinstance(each, dict)]
    for site, head in found:
        stack, layer, kind = site.split(".")
        there = int(layer) < layers[stack] and head < config.heads and not (stack == "encoder" and kind == "cross")
        if not there:
            raise ValueError(f"its card.json speaks of head {head} of {site}, which it has not")
    if card.get("curve") and len(set(card.get("curve_columns", ()))) != 4:
        raise ValueError("its card.json has a curve without the names of its columns")
