"""The checkpoints that ship with Headlight, by their cards alone: importing this does not import torch."""

from __future__ import annotations

from pathlib import Path

from model.checkpoints.disk import files as checkpoint_files
from model.checkpoints.disk.card import card_of
from model.checkpoints.disk.headers import config_of

SHIPPED = Path(__file__).parents[3] / "checkpoints"
SMALL = "small-"  # what the names of the small trained models of the library's families begin with


def in_grammar(name: str, words: tuple[str, ...], language: str) -> bool | None:
    """Whether a sentence is one that the training grammar can say; None where a model has no such grammar.

    A small model that is asked for anything else still writes something, and only this tells that it is guessing.
    """
    if name != "translate":
        return None
    from model.training.language.grammar import gold_alignment

    return gold_alignment(words, language) is not None


def of_library(folder: Path) -> bool:
    """Whether a folder is one of the transformers library, whose config.json says its family; ours has no such entry."""
    return (folder / "config.json").is_file() and "model_type" in checkpoint_files.config(folder)


def family(name: str) -> str:
    """The model_type of a shipped model of the library; "headlight" of ours."""
    try:
        return str(config_of(SHIPPED / name).get("model_type", "headlight"))
    except (OSError, ValueError):  # opening it says what is wrong
        return "headlight"


def shipped() -> dict[str, dict]:
    """Name -> model card of every checkpoint that ships, the translator first, families last; a damaged one is left out."""
    cards: dict[str, dict] = {}
    for path in sorted(SHIPPED.glob("*/card.json")):
        try:
            cards[path.parent.name] = card_of(path.parent)
        except (OSError, ValueError):  # opening it says what is wrong
            continue
    return dict(sorted(cards.items(), key=lambda item: (item[0] != "translate", item[0].startswith(SMALL), item[0])))


def is_small(name: str) -> bool:
    """Whether it is one of the small trained models of the library's families, which lists show together."""
    return name.startswith(SMALL) and name in shipped()
