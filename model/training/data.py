"""Sentences as ids: vocabularies in a readable order, padded batches of like length, the same for every recipe."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.text.tokenizer import END, PAD

Alignment = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Example:
    """One source and its target, as tokens; `language` chooses the start token; `alignment` is gold where known."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    language: str
    alignment: Alignment = ()


@dataclass(frozen=True)
class Vocabulary:
    """Both vocabularies and the start token of each output language, as `vocabulary.json` keeps them."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    kind: str
    starts: Mapping[str, str]

    @staticmethod
    def of(examples: Sequence[Example], kind: str, starts: Mapping[str, str]) -> Vocabulary:
        """Padding is 0, then the start tokens, `</s>`, and the tokens in alphabetical order."""
        source = sorted({token for example in examples for token in example.source})
        target: list[str] = []
        for language in starts:  # one language after the other, so that the list can be read
            words = Counter(token for example in examples if example.language == language for token in example.target)
            target.extend(sorted(set(words) - set(target)))
        return Vocabulary((PAD, *source), (PAD, *starts.values(), END, *target), kind, dict(starts))


@dataclass(frozen=True, eq=False)
class Encoded:
    """All examples of a split. source [N, n], target [N, m + 2] (start … end), both padded with 0; lengths [N]."""

    source: Tensor
    target: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [b] -> (source [b, n'], target [b, m']), cut to the longest of the batch."""
        source, target = self.source[rows], self.target[rows]
        return source[:, : int((source != 0).sum(1).max())], target[:, : int((target != 0).sum(1).max())]


def encode(examples: Sequence[Example], vocabulary: Vocabulary) -> Encoded:
    source_ids = {token: i for i, token in enumerate(vocabulary.source)}
    target_ids = {token: i for i, token in enumerate(vocabulary.target)}
    n = max(len(example.source) for example in examples)
    m = max(len(example.target) for example in examples) + 2
    source = torch.zeros(len(examples), n, dtype=torch.long)
    target = torch.zeros(len(examples), m, dtype=torch.long)
    for row, example in enumerate(examples):
        source[row, : len(example.source)] = torch.tensor([source_ids[token] for token in example.source])
        words = (vocabulary.starts[example.language], *example.target, END)
        target[row, : len(words)] = torch.tensor([target_ids[token] for token in words])
    return Encoded(source, target, (target != 0).sum(1))


def batches(data: Encoded, size: int, generator: torch.Generator, chunk: int = 50) -> Iterator[Tensor]:
    """Endless batches of rows [size]: shuffled, then sorted by length inside each chunk of batches, then shuffled."""
    while True:
        order = torch.randperm(len(data), generator=generator)
        for rows in order.split(size * chunk):
            rows = rows[torch.argsort(data.lengths[rows], stable=True)]
            groups = [group for group in rows.split(size) if len(group) == size or len(rows) < size]
            for index in torch.randperm(len(groups), generator=generator).tolist():
                yield groups[index]


def data_hash(examples: Sequence[Example]) -> str:
    """A fingerprint of the sentences themselves: the same data gives the same 16 hex digits on every machine."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.language}\t{' '.join(example.source)}\t{' '.join(example.target)}\n".encode())
    return digest.hexdigest()[:16]
