"""The four files of a checkpoint of ours, read and held against each other before anything is built of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from model.checkpoints import own_subwords
from model.checkpoints.disk.card import card_of, vocabulary_of
from model.checkpoints.disk.headers import safetensors_header
from model.checkpoints.own_subwords import Subwords
from model.files.regular import json_of
from model.text.tokenizer import END, MASK, PAD, Tokenizer
from model.transformer.config import TransformerConfig

FILES = ("weights.safetensors", "config.json", "vocabulary.json", "card.json")
_LAYER = re.compile(r"(encoder|decoder)\.([0-9]{1,6})\.")
_LONGEST = 100_000  # tokens of a position table, which no weight tells of


@dataclass(frozen=True)
class OwnFiles:
    """What the files say, each of its own kind and all of the same model; source and target are None where there is no
    such side."""

    config: TransformerConfig
    source: Tokenizer | None
    target: Tokenizer | None
    starts: Mapping[str, str]
    card: Mapping[str, object]
    subwords: Subwords | None = None


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
    subwords = own_subwords.read(folder) if words["kind"] == "subwords" else None
    source, target = _tokenizers(words, config, subwords)
    starts = dict(words["starts"])
    _check_tokens(source, target, starts)
    _check_card(card, config)
    return OwnFiles(config, source, target, starts, card, subwords)


def _tokenizers(
    words: Mapping[str, Any], config: TransformerConfig, subwords: Subwords | None
) -> tuple[Tokenizer | None, Tokenizer | None]:
    """Of the source and of the target. Raises ValueError where a side and its layers do not go together."""
    found: dict[str, Tokenizer | None] = {"source": None, "target": None}
    for side, stack in (("source", "encoder"), ("target", "decoder")):
        expected = config.vocabularies.get(side)
        if expected is None and words[side]:
            raise ValueError(
                f"its vocabulary.json has {side} tokens, and its config.json no {stack} layers to read them"
            )
        if expected is None:
            continue
        if len(words[side]) != expected:
            raise ValueError(
                f"the {side} vocabulary has {len(words[side])} tokens, but the configuration says {expected}"
            )
        # A decoder alone reads its text behind the start token.
        room = config.max_length - (side == "target" and not config.encoder_layers)
        spelled = () if subwords is None else _spelled(subwords, words, side)
        found[side] = Tokenizer(tuple(words[side]), words["kind"], room, *spelled)
        if len(found[side].ids) != expected:
            raise ValueError(f"a token stands twice in the {side} vocabulary")
    if config.pad_id:
        raise ValueError(f"its config.json has pad_id {config.pad_id}, and {PAD} is id 0 of every vocabulary")
    return found["source"], found["target"]


def _spelled(subwords: Subwords, words: Mapping[str, Any], side: str) -> tuple[Any, ...]:
    """What a `Tokenizer` of subwords has beside its list. Raises ValueError where the two know other tokens."""
    if lacking := sorted(subwords.known - set(words[side])):
        raise ValueError(f"its tokenizer.json cuts texts into {lacking[0]!r}, which is not in the {side} vocabulary")
    special = subwords.special | {PAD, END, MASK, *words["starts"].values()}
    return subwords.spell, subwords.readable, special


def _check_tokens(source: Tokenizer | None, target: Tokenizer | None, starts: Mapping[str, str]) -> None:
    """Raises ValueError where a token lacks that this shape needs: a decoder's start and end, an encoder's gap."""
    if target is None:
        if starts:
            raise ValueError("its vocabulary.json has starts, and a model without a decoder writes nothing")
        if MASK not in source.ids:
            raise ValueError(f"{MASK} is not in the source vocabulary, so nothing can stand for the gap that it fills")
        return
    if not starts or any(start not in target.ids for start in starts.values()) or END not in target.ids:
        raise ValueError("a start or end token is not in the target vocabulary")
    if source is None and len(starts) > 1:
        raise ValueError(f"it has {len(starts)} starts, and a decoder alone begins every text with the same one")


def _check_sizes(config: TransformerConfig, header: Mapping[str, Any]) -> None:
    """Raises ValueError, with both numbers, where a size is not that of the weights: building takes memory as it says."""
    shapes = {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    layers = dict.fromkeys(("encoder", "decoder"), 0)
    for found in filter(None, map(_LAYER.match, shapes)):
        layers[found[1]] = max(layers[found[1]], int(found[2]) + 1)

    def size(name: str, axis: int) -> int | None:
        shape = shapes.get(name, ())
        return shape[axis] if axis < len(shape) else None

    side, stack = ("source", "encoder") if config.encoder_layers else ("target", "decoder")
    there = {
        "encoder_layers": layers["encoder"], "decoder_layers": layers["decoder"],
        **{f"{name}_vocabulary": size(f"{name}.tokens.weight", 0) for name in config.vocabularies},
        "d_model": size(f"{side}.tokens.weight", 1), "d_ff": size(f"{stack}.0.ffn.W_1.bias", 0) or 0,
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
    found += [tuple(card["head"])] if card.get("head") else []
    about = (card.get("coreference") or {}).values()
    found += [(each["site"], each["head"]) for each in about if isinstance(each, dict)]
    for site, head in found:
        stack, layer, kind = site.split(".")
        crosses = kind == "cross" and (stack == "encoder" or not config.encoder_layers)
        there = int(layer) < layers[stack] and head < config.heads and not crosses
        if not there:
            raise ValueError(f"its card.json speaks of head {head} of {site}, which it has not")
    if card.get("curve") and len(set(card.get("curve_columns", ()))) != 4:
        raise ValueError("its card.json has a curve without the names of its columns")
