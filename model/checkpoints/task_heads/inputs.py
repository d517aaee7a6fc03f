"""How a class wants its inputs: most take a batch of texts, a multiple-choice class a batch of questions with their choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from model.checkpoints.disk.tasks import task_of


def as_taken(module: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    """Inputs [1, n] in the shape that the forward of `module` takes: [1, 1, n], one choice, where it scores choices."""
    one = task_of(type(module).__name__) == "multiple_choice"
    return {name: value[:, None] if one and value.dim() == 2 else value for name, value in inputs.items()}
