"""Pseudo-perplexity of masked models: each token predicted from all others, one masked at a time.

Salazar et al. 2020, "Masked Language Model Scoring", equation 1: Σ_t ln p(w_t | the sentence without w_t). It is chosen over
masking 15 % at random because every token counts once and nothing is drawn: two models, or two runs, are asked the same. It
is no perplexity of the text (the conditionals belong to no one distribution) and not comparable with a decoder's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from model.checkpoints.library.decoder_input import takes
from model.checkpoints.record.forward import call
from model.checkpoints.tokens.token_texts import outside_the_text
from model.data_files.read import Line
from model.errors import HeadlightError, NotInThisModel
from model.evaluation.library import LibraryScorer
from model.evaluation.scored import Scored
from model.evaluation.scorer import Example, Predicted, predicted, scored
from model.jobs.device import host
from model.jobs.progress import tick

_AT_ONCE = 4096  # tokens of the copies that run together
ONE_TEXT = "A masked model reads one text and predicts its tokens: give plain text, an example a line."


class MaskedScorer(LibraryScorer):
    """A text of n tokens is run n times. A model with a query stream (XLNet) predicts each token without seeing it."""

    def __init__(self, model: Any):
        super().__init__(model, None, False)
        self.streams = takes(self.module, "target_mapping")
        self.gap = getattr(model.tokenizer, "mask_token_id", None)
        if self.gap is None and not self.streams:
            raise NotInThisModel(what="Filling a gap", does="has no mask token")
        self.outside = outside_the_text(model.tokenizer)

    def read(self, line: Line) -> Example:
        if line.target is not None:
            raise HeadlightError(reason=ONE_TEXT)
        ids = tuple(self.model.encode(line.source).inputs["input_ids"][0].tolist())
        self.model.check_length(len(ids))
        places = tuple(i for i, number in enumerate(ids) if number not in self.outside)
        if not places:
            raise HeadlightError(reason="The text has no token that could be masked.")
        return Example(line, ids, 0, len(line.source), positions=places)

    def losses(self, batch: Sequence[Example]) -> list[Predicted]:
        return [self._one(example) for example in batch]

    def score(self, batch: Sequence[Example]) -> list[Scored]:
        with self.model.lock, torch.no_grad():
            found = self.losses(batch)
        return [scored(each, self.named(one.wanted), one) for each, one in zip(batch, found, strict=True)]

    def _one(self, example: Example) -> Predicted:
        ids, places = torch.tensor(example.ids), torch.tensor(example.positions)
        rows = []
        for some in places.split(max(1, _AT_ONCE // len(ids))):
            tick("evaluating", None)
            rows.append(self._without(ids, some))
        return predicted(torch.cat(rows), ids[places])

    def _without(self, ids: Tensor, places: Tensor) -> Tensor:
        """ids [n], places [c] -> logits [c, V] of the tokens at these places, each predicted from the others."""
        copies, at = ids.repeat(len(places), 1), torch.arange(len(places))
        if self.streams:
            hidden = torch.zeros(len(places), len(ids), len(ids))
            hidden[at, :, places] = 1.0
            wanted = torch.zeros(len(places), 1, len(ids))
            wanted[at, 0, places] = 1.0
            return host(
                call(self.module, {"input_ids": copies, "perm_mask": hidden, "target_mapping": wanted}).logits
            ).float()[:, 0]
        copies[at, places] = self.gap
        output = call(self.module, {"input_ids": copies})
        logits = output.logits if "logits" in output else output.prediction_logits
        return host(logits).float()[at, places]
