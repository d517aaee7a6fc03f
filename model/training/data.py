"""Sentences as ids: vocabularies in a readable order, padded batches of like length, the same for every task."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.text.tokenizer import END, MASK, PAD

Alignment = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Example:
    """One source and its target, as tokens; `language` chooses the start token; `alignment` is gold where known.

    A text that is gone on with is a target without a source; one with gaps to fill a source without a target.
    """

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
        """Padding is 0, then the start tokens, `</s>`, and the tokens in alphabetical order; a side that no example has is
        empty, and a source without a target has `<mask>` after the padding."""
        source = sorted({token for example in examples for token in example.source})
        if not starts:
            return Vocabulary((PAD, MASK, *source), (), kind, {})
        target: list[str] = []
        for language in starts:  # one language after the other, so that the list can be read
            words = Counter(token for example in examples if example.language == language for token in example.target)
            target.extend(sorted(set(words) - set(target)))
        return Vocabulary((PAD, *source) if source else (), (PAD, *starts.values(), END, *target), kind, dict(starts))


@dataclass(frozen=True, eq=False)
class Encoded:
    """All examples of a split. source [N, n], target [N, m + 2] (start … end), both padded with 0, a side that is not there
    with no column; lengths [N] of the target, or of the source where there is none; source_size: tokens it may have."""

    source: Tensor
    target: Tensor
    lengths: Tensor
    source_size: int = 0

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
    m = max(len(example.target) for example in examples) + 2 if target_ids else 0
    source = torch.zeros(len(examples), n, dtype=torch.long)
    target = torch.zeros(len(examples), m, dtype=torch.long)
    for row, example in enumerate(examples):
        if n:
            source[row, : len(example.source)] = torch.tensor([source_ids[token] for token in example.source])
        if m:
            words = (vocabulary.starts[example.language], *example.target, END)
            target[row, : len(words)] = torch.tensor([target_ids[token] for token in words])
    return Encoded(source, target, ((target if m else source) != 0).sum(1), len(source_ids))


@dataclass
class Batches:
    """Endless batches of rows [size]: shuffled, then sorted by length inside each chunk of batches, then shuffled.

    The place in it is the generator as it was when this pass over the data began, and how many batches of it were taken.
    """

    data: Encoded
    size: int
    generator: torch.Generator
    chunk: int = 50
    began: Tensor = field(init=False)
    taken: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.began, self._pass = self.generator.get_state(), self._one_pass()

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        rows = next(self._pass, None)
        if rows is None:
            self.began, self.taken, self._pass = self.generator.get_state(), 0, self._one_pass()
            rows = next(self._pass)
        self.taken += 1
        return rows

    def _one_pass(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.data), generator=self.generator)
        for rows in order.split(self.size * self.chunk):
            rows = rows[torch.argsort(self.data.lengths[rows], stable=True)]
            groups = [group for group in rows.split(self.size) if len(group) == self.size or len(rows) < self.size]
            for index in torch.randperm(len(groups), generator=self.generator).tolist():
                yield groups[index]

    def go_to(self, began: Tensor, taken: int) -> None:
        """The place that `began` and `taken` say: what comes next is what came next there."""
        self.generator.set_state(began)
        self.began, self.taken, self._pass = began, 0, self._one_pass()
        for _ in range(taken):
            next(self)


def data_hash(examples: Sequence[Example]) -> str:
    """A fingerprint of the sentences themselves: the same data gives the same 16 hex digits on every machine."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.language}\t{' '.join(example.source)}\t{' '.join(example.target)}\n".encode())
    return digest.hexdigest()[:16]


def text_hash(text: str) -> str:
    """16 hex digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
