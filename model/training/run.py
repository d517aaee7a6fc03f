"""One training as it goes: what is trained, its running average, and the curve so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from model.training.data import Vocabulary
from model.training.recipes import Recipe
from model.transformer.encoder_decoder import Transformer


@dataclass
class Run:
    """One training: the model, its running average, and the loss curve [(step, train, validation, learning rate)]."""

    recipe: Recipe
    vocabulary: Vocabulary
    module: Transformer
    average: Transformer
    curve: list[tuple[int, float, float, float]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
