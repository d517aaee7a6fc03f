"""What is predicted from what: the next target word, the next word of a text, the masked words; and the loss of it.

An objective makes of rows of the data what the model reads and what it should say. `wanted` is 0 where nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model.training.data import Encoded
from model.transformer.config import TransformerConfig

CHOSEN, MASKED, RANDOM = 0.15, 0.8, 0.1  # of all tokens; of the chosen (Devlin et al. 2018, section 3.1)
MASK_ID, FIRST_TOKEN = 1, 2  # of a vocabulary with a mask: <pad>, <mask>, then the tokens


@dataclass(frozen=True, eq=False)
class Batch:
    """Ids the model reads, source [b, n] and target [b, m], None for a side it has not; wanted [b, m or n], 0 is not asked."""

    source: Tensor | None
    target: Tensor | None
    wanted: Tensor


def pairs(data: Encoded, rows: Tensor, _generator: torch.Generator) -> Batch:
    """Teacher forcing: the target without its last token is read, and without its first is wanted."""
    source, target = data.batch(rows)
    return Batch(source, target[:, :-1], target[:, 1:])


def next_word(data: Encoded, rows: Tensor, _generator: torch.Generator) -> Batch:
    """The same of a text alone (Radford et al. 2018, equation 1)."""
    _, target = data.batch(rows)
    return Batch(None, target[:, :-1], target[:, 1:])


def masked_words(data: Encoded, rows: Tensor, generator: torch.Generator) -> Batch:
    """15 % of the tokens are asked; of these 80 % are read as <mask>, 10 % as any token, 10 % as they are.

    A batch in which none was drawn asks its first token, so that a mean over what is asked exists.
    """
    source, _ = data.batch(rows)
    real = source != 0
    draw, kind = (torch.rand(source.shape, generator=generator) for _ in range(2))
    other = torch.randint(FIRST_TOKEN, data.source_size, source.shape, generator=generator)
    asked = real & (draw < CHOSEN)
    if not bool(asked.any()):
        asked[0, 0] = True
    read = torch.where(asked & (kind < MASKED), torch.full_like(source, MASK_ID), source)
    read = torch.where(asked & (kind >= 1 - RANDOM), other, read)
    return Batch(read, None, torch.where(asked, source, torch.zeros_like(source)))


OBJECTIVES: Mapping[str, Callable[[Encoded, Tensor, torch.Generator], Batch]] = {
    "pairs": pairs,
    "next": next_word,
    "masked": masked_words,
}


def objective_of(config: TransformerConfig) -> str:
    """Which of `OBJECTIVES` a shape is trained on: the sides that it has say it."""
    if not config.encoder_layers:
        return "next"
    return "pairs" if config.decoder_layers else "masked"


def loss_of(logits: Tensor, wanted: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy, nats, of logits [b, m, V] against ids [b, m] over those that are not padding (id 0).

    smoothing: ε of the paper's section 5.4: the wanted token gets 1 − ε + ε/V of the target distribution, every other ε/V.
    """
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=0, label_smoothing=smoothing)
