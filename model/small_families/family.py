"""What makes one small trained model: the library's classes, its sizes, its texts, and the objective it is trained by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from model.training.language.texts import Text, texts

Batch = dict[str, Tensor]
Collator = Callable[[Sequence[Any]], Batch]
Corpus = Callable[[int, str], Iterator[Text]]

WIDTH, HEADS = 96, 4
LENGTH = 64  # positions


@runtime_checkable
class Objective(Protocol):
    """How texts become batches with `labels`, of which the library's model makes its loss.

    shifted: whether the logits at a place are of the next one's label (next word); else of that at the place itself.
    reads: what an example is as a text: "rows" of several texts, "pairs" of what is read and written, or single "texts".
    """

    shifted: bool
    reads: str

    def rows(self, tokenizer: Any, found: Sequence[Text]) -> list[Any]:
        """Texts -> what a batch is collated of."""

    def collator(self, tokenizer: Any, seed: int, ramp: int = 0) -> Collator:
        """Rows [b] -> input_ids, labels (−100 where nothing is predicted) and what else the model reads.

        ramp: over how many batches a text's damage grows to its full share, where the objective begins gently.
        """

    def length(self, row: Any) -> int:
        """Tokens of a row: a batch is of rows of like length."""


def english(seed: int, split: str) -> Iterator[Text]:
    """The corpus of most families."""
    return texts(seed, split)


@dataclass(frozen=True)
class SmallFamily:
    """One model. model, config, tokenizer: the library's classes. sizes: of the configuration.

    special: what its tokenizer is made with. vocabulary: tokens at most. texts, steps, batch, peak: of the training; peak is
    the learning rate after the warm-up. card: title, description, notice, data and examples in both languages.
    """

    name: str
    model: str
    config: str
    tokenizer: str
    objective: Objective
    sizes: Mapping[str, Any]
    card: Mapping[str, Any]
    special: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: int = 900
    corpus: Corpus = english
    texts: int = 40_000
    steps: int = 1_500
    batch: int = 64
    peak: float = 3e-3
    # What is measured beside the loss: "gap", "summary" or "".
    score: str = ""
    # What is done to the trained module before it is written.
    finish: Callable[[Any, Any], None] = lambda module, tokenizer: None


def padded(tokenizer: Any, rows: Sequence[Sequence[int]]) -> Batch:
    """Rows of ids, padded where the tokenizer pads -> input_ids and attention_mask [b, n]."""
    return dict(tokenizer.pad({"input_ids": list(rows)}, return_tensors="pt"))


def padded_labels(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of ids -> labels [b, m], −100 behind the end of each."""
    import torch

    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=-100)
