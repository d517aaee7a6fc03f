"""One step of training after the other: teacher forcing, Adam, clipping, averaged weights; all randomness from one seed.

Adam with β = (0.9, 0.98) and ε = 1e-9 (Vaswani et al. 2017, section 5.3); the averaged weights are an exponential moving average.
"""

from __future__ import annotations

import copy
import json
import math
import time
from typing import Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from model.errors import BadOption, Diverged
from model.training.data import Batches, data_hash, encode, text_hash
from model.training.evaluate import held_out_loss
from model.training.held_out_scores import written_scores
from model.training.objectives import OBJECTIVES, Batch, loss_of
from model.training.options import Options, room_of
from model.training.schedules import SCHEDULES, Span
from model.training.tasks.task import Data, Task
from model.transformer.encoder_decoder import Transformer

BETAS, EPSILON = (0.9, 0.98), 1e-9


def untrained(options: Options, data: Data) -> Transformer:
    """The model of these sizes with the random weights of the seed."""
    torch.manual_seed(options.seed)
    return Transformer(options.config(len(data.vocabulary.source), len(data.vocabulary.target)))


def optimiser(module: Transformer) -> torch.optim.Adam:
    """The paper's Adam; its rate is set at every step."""
    return torch.optim.Adam(module.parameters(), lr=0.0, betas=BETAS, eps=EPSILON, foreach=True)


def whole_hash(data: Data) -> str:
    """A fingerprint of everything that a run takes from its data: the vocabulary, whose order gives the ids, and each split."""
    words = data.vocabulary
    splits = [data.train, data.validation, *(data.test[language] for language in sorted(data.test))]
    told = [words.kind, sorted(words.starts.items()), words.source, words.target, *map(data_hash, splits)]
    return text_hash(json.dumps(told))


class Trainer:
    """A run between two steps: `advance` makes the next one and says what its line of the log says.

    module is trained; average, in evaluation mode, is what is kept and evaluated.
    """

    def __init__(self, task: Task, options: Options, data: Data):
        self.task, self.options, self.data = task, options, data
        self.vocabulary = data.vocabulary
        self.module = untrained(options, data).train()
        self.average = copy.deepcopy(self.module).eval()
        self.adam = optimiser(self.module)
        self.objective = OBJECTIVES[task.shape]
        self.batches = Batches(
            encode(data.train, data.vocabulary), options.batch, torch.Generator().manual_seed(options.seed)
        )
        self.masks = torch.Generator().manual_seed(options.seed + 2)
        longest = room_of([*data.train, *data.validation, *(e for some in data.test.values() for e in some)])
        if longest > options.sizes["max_length"]:
            got = options.sizes["max_length"]
            raise BadOption(what="max_length", got=got, allowed=f"at least {longest} for these examples")
        self.validation = encode(data.validation, data.vocabulary)
        self.data_hash, self.whole_hash = data_hash(data.train), whole_hash(data)
        self.span = Span(options.steps, options.warmup, self.module.config.d_model, options.peak)
        self.parameters, self.averages = list(self.module.parameters()), list(self.average.parameters())
        self.step, self.seconds = 0, 0.0
        torch.manual_seed(options.seed + 1)  # of dropout, from here on

    @property
    def rate(self) -> float:
        """The learning rate of the step that is made."""
        return SCHEDULES[self.options.schedule](self.step, self.span)

    def advance(self) -> dict[str, Any]:
        """One step -> {"step", "loss", "learning_rate", "gradient_norm"}, and what is measured where that is due.

        Raises Diverged where the loss is no number.
        """
        began = time.perf_counter()
        self.step += 1
        batch = self.objective(self.batches.data, next(self.batches), self.masks)
        loss, norm = self._update(batch)
        line = {"step": self.step, "loss": loss, "learning_rate": self.rate, "gradient_norm": norm}
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise Diverged(step=self.step)
        if self.step in (1, self.options.steps) or self.step % self.options.evaluate_every == 0:
            line |= self.evaluate()
        self.seconds += time.perf_counter() - began
        return line

    def _update(self, batch: Batch) -> tuple[float, float]:
        """Loss, gradient, clipping, Adam, average -> (loss, norm of the gradient before clipping)."""
        for group in self.adam.param_groups:
            group["lr"] = self.rate
        loss = loss_of(self.module(batch.source, batch.target), batch.wanted, self.options.label_smoothing)
        self.adam.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        self.adam.step()
        # The average forgets the noisy beginning quickly.
        keep = min(self.options.average, self.step / (self.step + 10))
        with torch.no_grad():
            get_ema_multi_avg_fn(keep)(self.averages, self.parameters, None)
        return loss.item(), norm.item()

    def evaluate(self) -> dict[str, Any]:
        """What held-out examples say of the averaged weights: `held_out_loss` and `written_scores`."""
        found = held_out_loss(self.average, self.validation, self.objective, self.task.metrics)
        return {**found, **written_scores(self.task, self.average, self.data.validation, self.vocabulary)}
