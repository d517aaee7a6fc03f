"""Scoring by library models that predict the next token: decoders alone, and encoder–decoders with teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from model.checkpoints.disk.generation_config import end_tokens
from model.checkpoints.library.decoder_input import decoder_input, takes
from model.checkpoints.library.outputs import labelled_pair
from model.checkpoints.record.forward import call
from model.checkpoints.tokens.languages import reading_as
from model.checkpoints.tokens.token_texts import outside_the_text
from model.data_files.read import Line
from model.errors import HeadlightError
from model.evaluation.scored import Scored
from model.evaluation.scorer import Example, Predicted, padded, predicted, scored, written_tokens
from model.jobs.device import host


class LibraryScorer:
    """A decoder alone predicts each token of a text from those before it, the first of them from nothing, so that it is not
    scored; of a pair it reads the source and only the target is scored. An encoder–decoder predicts the target's tokens."""

    def __init__(self, model: Any, language: str | None = None, write: bool = True):
        self.model, self.language, self.task = model, language, str(model.task)
        # As the library runs it, where there is such a copy: nothing is recorded here.
        self.module = model.untouched or model.module
        self.vocabulary = int(model.module.get_input_embeddings().weight.shape[0])
        self.pad = model._pad() or 0
        self.writes = write and hasattr(model.module, "generate")
        self.names = model.vocabulary

    def read(self, line: Line) -> Example:
        if self.task == "seq2seq":
            return self._pair(line)
        if line.target is None:
            given = self.model.encode(line.source)
            ids = tuple(given.inputs["input_ids"][0].tolist())
            self.model.check_length(len(ids))
            if len(ids) < 2:
                raise HeadlightError(reason="The text is one token, and none stands before it to predict it from.")
            start = given.places[1][0] if given.places else 0
            return Example(line, ids, 1, max(1, len(line.source) - start))
        _, given, labels = labelled_pair(self.model, line.source, line.target)
        ids = tuple(given["input_ids"][0].tolist())
        self.model.check_length(len(ids))
        first = len(ids) - int((labels != -100).sum())
        return Example(line, ids, max(1, first), len(line.target), reference=line.target)

    def _pair(self, line: Line) -> Example:
        if line.target is None:
            raise HeadlightError(reason="This model reads a source and predicts a target: give pairs in two columns.")
        with reading_as(self.model.tokenizer, None, self.language):
            _, given, labels = labelled_pair(self.model, line.source, line.target)
            fed = decoder_input(self.model, given["input_ids"], line.target, 1, self.language).ids
        source, ids = tuple(given["input_ids"][0].tolist()), tuple(labels[0].tolist())
        self.model.check_length(max(len(source), len(ids)))
        return Example(line, ids, 0, len(line.target), source, tuple(fed[0].tolist()), line.target)

    def losses(self, batch: Sequence[Example]) -> list[Predicted]:
        rows = zip(batch, self._logits(batch), strict=True)
        return [predicted(logits, each.ids[each.first :]) for each, logits in rows]

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        with self.model.lock, torch.no_grad():
            found = self.losses(batch)
            writes = self.writes and batch[0].reference is not None
            texts = self._written(batch) if writes else [None] * len(batch)
        return [
            scored(each, self.named(one.wanted), one, text) for each, one, text in zip(batch, found, texts, strict=True)
        ]

    def named(self, ids: Tensor) -> list[str]:
        return [self.names[i] if i < len(self.names) else f"#{i}" for i in ids.tolist()]

    def _logits(self, batch: Sequence[Example]) -> list[Tensor]:
        """For each example the logits [n, V] of the tokens that are scored."""
        if self.task == "seq2seq":
            ids, seen = padded([example.source for example in batch], self.pad)
            fed, _ = padded([example.inputs for example in batch], self.pad)
            given = {"input_ids": ids, "decoder_input_ids": fed}
            shift = 0
        else:
            ids, seen = padded([example.ids for example in batch], self.pad)
            given, shift = {"input_ids": ids}, 1
        if takes(self.module, "attention_mask"):
            given["attention_mask"] = seen
        logits = host(call(self.module, given).logits).float()
        return [logits[i, each.first - shift : len(each.ids) - shift] for i, each in enumerate(batch)]

    def _written(self, batch: Sequence[Example]) -> list[str]:
        """What the model writes itself, greedily."""
        prompts = [each.source if self.task == "seq2seq" else each.ids[: each.first] for each in batch]
        both = self.task == "seq2seq"
        ids, seen = padded(prompts, self.pad, left=not both)
        room = max(1, min(written_tokens(batch), self.model.max_length - (1 if both else ids.shape[1])))
        found = self.model.generate(ids, room, self.language, attention_mask=seen)
        begin = 1 if both else ids.shape[1]
        return [self._text(row[begin:].tolist()) for row in found]

    def _text(self, ids: list[int]) -> str:
        ends = end_tokens(self.model.module)
        cut = next((i for i, number in enumerate(ids) if number in ends), len(ids))
        outside = outside_the_text(self.model.tokenizer)
        kept = [number for number in ids[:cut] if number not in outside]
        return str(self.model.tokenizer.decode(kept, skip_special_tokens=True)).strip()
