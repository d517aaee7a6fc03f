"""Scoring by our own Transformer, in each of its shapes: encoder–decoder, decoder alone, encoder alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor

from model.checkpoints.own import OwnModel
from model.data_files.read import Line
from model.errors import HeadlightError, NotInThisModel, TextTooLong, UnknownOption
from model.evaluation.masked import ONE_TEXT
from model.evaluation.scored import Scored
from model.evaluation.scorer import Example, Predicted, Scorer, padded, predicted, scored, written_tokens
from model.jobs.device import host
from model.text.tokenizer import END, Tokenizer
from model.transformer.greedy import greedy_batch

_MASK = "<mask>"


def own_scorer(model: OwnModel, language: str | None, write: bool) -> Scorer:
    """By which stacks the model has. Raises NotInThisModel, or UnknownOption for a language that it does not write."""
    if not model.config.decoder_layers:
        return OwnMasked(model)
    if language is not None and language not in model.starts:
        raise UnknownOption(what="Language", got=language, allowed=", ".join(model.starts))
    start = model.target.ids[model.starts[language or next(iter(model.starts))]]
    return OwnPairs(model, start, write) if model.config.encoder_layers else OwnCausal(model, start)


def _characters(text: str) -> int:
    return len(unicodedata.normalize("NFC", text).strip())


class OwnPairs:
    """Predicts the target's tokens and its end, each from those before it and the source."""

    task = "seq2seq"

    def __init__(self, model: OwnModel, start: int, write: bool):
        self.model, self.start, self.write = model, start, write
        self.vocabulary, self.end = len(model.target), model.target.ids[END]

    def read(self, line: Line) -> Example:
        if line.target is None:
            raise HeadlightError(reason="This model reads a source and predicts a target: give pairs in two columns.")
        source = self.model.source.read(line.source).ids
        target = self.model.target.read(line.target, side="target")
        if len(target.ids) + 1 > self.model.config.max_length:
            raise TextTooLong(got=len(target.ids) + 1, allowed=self.model.config.max_length)
        ids = (*target.ids, self.end)
        reference = self.model.target.text(target.tokens)
        return Example(line, ids, 0, _characters(line.target), source, (self.start, *target.ids), reference)

    def losses(self, batch: Sequence[Example]) -> list[Predicted]:
        pad = self.model.config.pad_id
        source, inputs = (padded([getattr(each, side) for each in batch], pad)[0] for side in ("source", "inputs"))
        logits = host(self.model.module(source, inputs)).float()
        return [predicted(logits[row, : len(each.ids)], each.ids) for row, each in enumerate(batch)]

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        with self.model.lock, torch.no_grad():
            found = self.losses(batch)
            texts = self._written(batch) if self.write else [None] * len(batch)
        return [
            scored(each, _named(self.model.target, one.wanted), one, text)
            for each, one, text in zip(batch, found, texts, strict=True)
        ]

    def _written(self, batch: Sequence[Example]) -> list[str]:
        source, _ = padded([each.source for each in batch], self.model.config.pad_id)
        limit = min(1 + written_tokens(batch), self.model.config.max_length)
        rows, _ = greedy_batch(self.model.module, source, [self.start] * len(batch), self.end, limit)
        return [self.model.target.text([self.model.target.vocabulary[i] for i in row[1:]]) for row in rows]


class OwnCausal:
    """Predicts each token of a text and its end from those before it, the first from the start token."""

    task = "causal"

    def __init__(self, model: OwnModel, start: int):
        self.model, self.start = model, start
        self.vocabulary, self.end = len(model.target), model.target.ids[END]

    def read(self, line: Line) -> Example:
        """Of a pair the source is what stands before, and the target's tokens are scored."""
        before = self.model.target.read(line.source).ids if line.target is not None else ()
        text = line.source if line.target is None else line.target
        ids = (self.start, *before, *self.model.target.read(text).ids, self.end)
        if len(ids) - 1 > self.model.config.max_length:
            raise TextTooLong(got=len(ids) - 1, allowed=self.model.config.max_length)
        return Example(line, ids, 1 + len(before), _characters(text))

    def losses(self, batch: Sequence[Example]) -> list[Predicted]:
        ids, _ = padded([each.ids[:-1] for each in batch], self.model.config.pad_id)
        logits = host(self.model.module(None, ids)).float()
        return [
            predicted(logits[row, each.first - 1 : len(each.ids) - 1], each.ids[each.first :])
            for row, each in enumerate(batch)
        ]

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        with self.model.lock, torch.no_grad():
            found = self.losses(batch)
        return [
            scored(each, _named(self.model.target, one.wanted), one) for each, one in zip(batch, found, strict=True)
        ]


class OwnMasked:
    """Predicts each token of a text from all others, one masked at a time, as `MaskedScorer`."""

    task = "masked"

    def __init__(self, model: OwnModel):
        self.model, self.vocabulary = model, len(model.source)
        if _MASK not in model.source.ids:
            raise NotInThisModel(what="Filling a gap", does="has no mask token")
        self.gap = model.source.ids[_MASK]

    def read(self, line: Line) -> Example:
        if line.target is not None:
            raise HeadlightError(reason=ONE_TEXT)
        ids = self.model.source.read(line.source).ids
        return Example(line, ids, 0, _characters(line.source), positions=tuple(range(len(ids))))

    def losses(self, batch: Sequence[Example]) -> list[Predicted]:
        found = []
        for each in batch:
            places = torch.tensor(each.positions)
            copies, at = torch.tensor(each.ids).repeat(len(places), 1), torch.arange(len(places))
            wanted = copies[at, places]
            copies[at, places] = self.gap
            found.append(predicted(host(self.model.module(copies, None)).float()[at, places], wanted))
        return found

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        with self.model.lock, torch.no_grad():
            found = self.losses(batch)
        return [
            scored(each, _named(self.model.source, one.wanted), one) for each, one in zip(batch, found, strict=True)
        ]


def _named(tokenizer: Tokenizer, ids: Tensor) -> list[str]:
    return [tokenizer.vocabulary[i] for i in ids.tolist()]
