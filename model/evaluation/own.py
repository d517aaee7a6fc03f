"""Scoring by our own Transformer, in each of its shapes: encoder–decoder, decoder alone, encoder alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import torch

from model.checkpoints.own import OwnModel
from model.data_files.read import Line
from model.errors import HeadlightError, NotInThisModel, TextTooLong, UnknownOption
from model.evaluation.masked import ONE_TEXT
from model.evaluation.scored import Scored
from model.evaluation.scorer import Example, Scorer, padded, scored, token_losses, written_tokens
from model.jobs.device import host
from model.text.tokenizer import END
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

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        pad, target = self.model.config.pad_id, self.model.target
        source, _ = padded([each.source for each in batch], pad)
        inputs, _ = padded([each.inputs for each in batch], pad)
        with self.model.lock, torch.no_grad():
            logits = host(self.model.module(source, inputs)).float()
            texts: list[str | None] = [None] * len(batch)
            if self.write:
                limit = min(1 + written_tokens(batch), self.model.config.max_length)
                rows, _ = greedy_batch(self.model.module, source, [self.start] * len(batch), self.end, limit)
                texts = [target.text([target.vocabulary[i] for i in row[1:]]) for row in rows]
        found = []
        for row, (each, text) in enumerate(zip(batch, texts, strict=True)):
            losses, right = token_losses(logits[row, : len(each.ids)], torch.tensor(each.ids))
            found.append(scored(each, [target.vocabulary[i] for i in each.ids], losses, right, text))
        return found


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

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        ids, _ = padded([each.ids[:-1] for each in batch], self.model.config.pad_id)
        with self.model.lock, torch.no_grad():
            logits = host(self.model.module(None, ids)).float()
        found = []
        for row, each in enumerate(batch):
            wanted = torch.tensor(each.ids[each.first :])
            losses, right = token_losses(logits[row, each.first - 1 : len(each.ids) - 1], wanted)
            found.append(scored(each, [self.model.target.vocabulary[i] for i in wanted.tolist()], losses, right))
        return found


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
        return Example(line, self.model.source.read(line.source).ids, 0, _characters(line.source))

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        found = []
        for each in batch:
            wanted, at = torch.tensor(each.ids), torch.arange(len(each.ids))
            copies = wanted.repeat(len(wanted), 1)
            copies[at, at] = self.gap
            with self.model.lock, torch.no_grad():
                logits = host(self.model.module(copies, None)).float()[at, at]
            losses, right = token_losses(logits, wanted)
            found.append(scored(each, [self.model.source.vocabulary[i] for i in each.ids], losses, right))
        return found
