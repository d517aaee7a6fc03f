"""Pooling of a sentence encoder: one vector from the rows of its last layer (mean, max, first or last token)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from model.errors import UnknownOption
from model.files.regular import json_of

# What the settings beside a sentence encoder call each, the first that is switched on being told.
_SETTINGS = {
    "cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "last": "pooling_mode_lasttoken",
    "mean": "pooling_mode_mean_tokens",
}  # fmt: skip


def pooling(folder: Path) -> str:
    """How a sentence encoder's folder says its vectors are made; "mean" where it does not say.

    "mean": over every token, special ones among them (Reimers and Gurevych 2019, Sentence-BERT, section 3); "cls": the
    first row; "last": the last; "max": of each dimension the largest.
    """
    try:
        told = json_of(folder / "1_Pooling" / "config.json")
    except (OSError, ValueError):
        return "mean"
    if not isinstance(told, dict):
        return "mean"
    if told.get("pooling_mode") in _SETTINGS:
        return str(told["pooling_mode"])
    return next((how for how, name in _SETTINGS.items() if told.get(name)), "mean")


def pooled(stream: Tensor, how: str) -> Tensor:
    """stream [n, d] -> [d]. Raises UnknownOption."""
    if how not in _SETTINGS:
        raise UnknownOption(what="Pooling", got=how, allowed=", ".join(_SETTINGS))
    if how == "max":
        return stream.amax(0)
    return stream.mean(0) if how == "mean" else stream[-1 if how == "last" else 0]
