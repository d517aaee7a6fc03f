"""Beam search with every hypothesis kept: the candidates of each step, which were kept, which were pruned and why.

The rules are those of the transformers library (`GenerationMixin._beam_search`, early_stopping=False): in each step the
(1 + number of end tokens) · k best continuations of all k beams are looked at; of those that do not end the best k run
on; one that ends counts as finished only among the best k, with the score Σ log p / length^α; the k best finished stay.
The search is over when k are finished and the best running score, Σ log p / (its length so far)^α, does not beat the
worst of them. That bound is a heuristic where α > 0, because a longer text is divided by more: Wu et al. 2016 (GNMT,
section 7) for the penalty's idea, https://github.com/huggingface/transformers/pull/20901 for this bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from model.generation.decoder import Decoder
from model.jobs.progress import tick

# The library's stand-in for "no such beam": before the first step all beams are the same text and one alone counts.
_NONE = -1.0e9


@dataclass(frozen=True)
class Hypothesis:
    """One candidate of a step: a hypothesis and one more token. Natural logarithms.

    parent: index among the hypotheses of the step before, −1 in the first. log_p: of this token after its parent.
    total: Σ log p of the text up to here, as it was ranked (float32). rank: place among all looked at, 0 the best.
    status: "runs", "finished" (ended among the best k), "limit" (cut by the length limit among the best k), "late" (ended
    outside the best k, which counts for nothing) or "pruned" (outside the k that run on).
    score: total / length^α for what finished, else None.
    """

    step: int
    parent: int
    token: int
    log_p: float
    total: float
    rank: int
    status: str
    score: float | None = None


@dataclass(frozen=True)
class FinishedHypothesis:
    """One finished hypothesis: where it ended (step, index), its tokens and its score; `in_best` is False for one that k better
    ones pushed out of the list."""

    step: int
    index: int
    tokens: tuple[int, ...]
    score: float
    in_best: bool = True


@dataclass
class Beams:
    """A search under way: hand `advance` the log-probabilities after each of `running`, until `done`.

    k: beams. alpha: the length penalty's exponent. limit: tokens to write at most. ends: the end tokens' ids.
    """

    k: int
    alpha: float
    limit: int
    ends: frozenset[int]
    steps: list[list[Hypothesis]] = field(default_factory=list)
    finished: list[FinishedHypothesis] = field(default_factory=list)
    dropped: list[FinishedHypothesis] = field(default_factory=list)
    done: str = ""
    bound: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self._totals = torch.full((self.k,), _NONE)
        self._totals[0] = 0.0
        # Index into the last step's hypotheses of each running beam; −1 is the start.
        self._alive = [-1] * self.k
        self._texts: list[tuple[int, ...]] = [()] * self.k

    @property
    def running(self) -> list[tuple[int, ...]]:
        """The tokens written so far by each of the k beams, best first; before the first step k empty ones."""
        return list(self._texts)

    def tokens(self, step: int, index: int) -> tuple[int, ...]:
        """What a hypothesis has written, its own token included."""
        return tuple(one.token for one in self.path(step, index))

    def status(self, step: int, index: int) -> str:
        """What became of a hypothesis by the end: its `status`, or "caught" where it still ran when the search stopped."""
        one = self.steps[step][index]
        return "caught" if one.status == "runs" and self.done == "bound" and step + 1 == len(self.steps) else one.status

    def path(self, step: int, index: int) -> list[Hypothesis]:
        """A hypothesis and those it continues, the first step's first."""
        found: list[Hypothesis] = []
        while index >= 0:
            found.append(self.steps[step][index])
            step, index = step - 1, found[-1].parent
        return found[::-1]

    def advance(self, log_p: Float[Tensor, "k V"]) -> None:
        """One step: log_p is float32, −∞ for a token that may not be written."""
        size, t = log_p.shape[-1], len(self.steps)
        totals = (log_p + self._totals[:, None]).reshape(-1)
        looked_at = min(max(2, 1 + len(self.ends)) * self.k, totals.numel())
        best = torch.topk(totals, looked_at)
        beams, tokens = (best.indices // size).tolist(), (best.indices % size).tolist()
        last = t + 1 >= self.limit
        stops = [last or token in self.ends for token in tokens]
        order = torch.topk(best.values + torch.tensor(stops) * _NONE, min(self.k, looked_at))
        runs = {i for i in order.indices.tolist() if not stops[i]}
        found, places = self._candidates(t, best.values, beams, tokens, stops, runs, log_p)
        self.steps.append(found)
        for i, one in enumerate(found):
            if one.score is not None:
                self.finished.append(FinishedHypothesis(t, i, self.tokens(t, i), one.score))
        self.finished.sort(key=lambda each: -each.score)  # stable: the earlier one of equals comes first
        self.dropped += [FinishedHypothesis(f.step, f.index, f.tokens, f.score, False) for f in self.finished[self.k :]]
        del self.finished[self.k :]
        chosen = order.indices.tolist()
        self._texts = [(*self._texts[beams[i]], tokens[i]) for i in chosen]
        self._alive, self._totals = [places.get(i, -1) for i in chosen], order.values
        self._stop(last, all(stops))

    def _candidates(
        self,
        t: int,
        totals: Tensor,
        beams: list[int],
        tokens: list[int],
        stops: list[bool],
        runs: set[int],
        log_p: Tensor,
    ) -> tuple[list[Hypothesis], dict[int, int]]:
        """The step's hypotheses, without those of beams that do not exist, and where each candidate went."""
        found: list[Hypothesis] = []
        places: dict[int, int] = {}
        scores = length_normalised(totals, t + 1, self.alpha)
        for rank, (beam, token) in enumerate(zip(beams, tokens, strict=True)):
            total = float(totals[rank])
            if total < _NONE / 2:
                continue
            counts = stops[rank] and rank < self.k
            ended = token in self.ends
            status = "runs" if rank in runs else "late" if ended else "pruned"
            if counts:
                status = "finished" if ended else "limit"
            places[rank] = len(found)
            parent = self._alive[beam] if t else -1
            one = float(log_p[beam, token])
            found.append(
                Hypothesis(t, parent, token, one, total, rank, status, float(scores[rank]) if counts else None)
            )
        return found, places

    def _stop(self, last: bool, all_stopped: bool) -> None:
        length = len(self.steps)
        if last or all_stopped:
            self.done = "limit"
        elif len(self.finished) == self.k:
            best, worst = float(length_normalised(self._totals[0], length, self.alpha)), self.finished[-1].score
            self.bound = (best, worst)
            self.done = "bound" if best <= worst else ""


def length_normalised(total: Tensor, length: int, alpha: float) -> Tensor:
    """A text's score: Σ log p / length^α, in nats; 0-d or one a text. α 0 leaves the sum, 1 makes it the mean."""
    return total / length**alpha


def search(decoder: Decoder, k: int, alpha: float = 1.0, new_tokens: int = 40) -> Beams:
    """Beam search with a model, every step a forward of all beams. new_tokens: at most so many, where there is room."""
    beams = Beams(k, alpha, decoder.tokens_left(new_tokens), decoder.ends)
    while not beams.done:
        tick("writing", len(beams.steps) / beams.limit)
        ids = torch.tensor([[*decoder.start, *tokens] for tokens in beams.running])
        beams.advance(log_probabilities(decoder.logits(ids), decoder.never))
    return beams


def log_probabilities(logits: Float[Tensor, "s V"], never: Sequence[int] = ()) -> Float[Tensor, "s V"]:
    """log softmax of each row; then −∞ for what is never written, as the library's processors leave it: not renormalised."""
    found = torch.log_softmax(logits.float(), dim=-1)
    if never:
        found[:, list(never)] = -torch.inf
    return found
