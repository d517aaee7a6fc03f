"""The checkpoints that ship with Headlight, by their cards alone: importing this does not import torch."""

from __future__ import annotations

import json
from pathlib import Path

SHIPPED = Path(__file__).parents[3] / "checkpoints"


def in_grammar(name: str, words: tuple[str, ...], language: str) -> bool | None:
    """Whether a sentence is one that the training grammar can say; None where a model has no such grammar.

    A small model that is asked for anything else still writes something, and only this tells that it is guessing.
    """
    if name != "translate":
        return None
    from model.training.language.grammar import gold_alignment

    return gold_alignment(words, language) is not None


def shipped() -> dict[str, dict]:
    """Name -> model card of every checkpoint that ships, the translator first."""
    cards = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SHIPPED.glob("*/card.json"))
    }
    return dict(sorted(cards.items(), key=lambda item: (item[0] != "translate", item[0])))
