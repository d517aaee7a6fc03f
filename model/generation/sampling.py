"""Sampling: temperature, top-k and top-p (Holtzman et al. 2020, section 3.1), in the order in which the library applies them.

scores = logits / T;   top-k: −∞ below the k-th score;   top-p: −∞ for the smallest that together hold ≤ 1 − p
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from model.errors import HeadlightError
from model.generation.decoder import Decoder
from model.jobs.progress import tick
from model.transformer.attention import entropy

STAGES = ("model", "temperature", "top_k", "top_p")


@dataclass(frozen=True)
class SamplingOptions:
    """temperature > 0, 1 leaves the scores as they are; top_k 0 keeps all; top_p in (0, 1], 1 keeps all."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        rules = {"temperature": self.temperature > 0, "top_k": self.top_k >= 0, "top_p": 0 < self.top_p <= 1}
        for name, right in rules.items():
            if not right:
                raise HeadlightError(reason=f"{name} is {getattr(self, name)}, which is out of its range.")


@dataclass(frozen=True)
class SamplingStage:
    """The distribution after one step: probabilities float64 [V] (0 where cut), `remaining` many tokens are left, the mass they
    hold in the distribution that the step was given, and the entropy in nats."""

    name: str
    probabilities: Tensor
    remaining: int
    mass: float
    entropy: float


def temperature(scores: Float[Tensor, "s V"], value: float) -> Float[Tensor, "s V"]:
    return scores if value == 1 else scores / value


def top_k(scores: Float[Tensor, "s V"], k: int) -> Float[Tensor, "s V"]:
    """−∞ for what is below the k-th largest; ties with it stay."""
    if k == 0:
        return scores
    least = scores.topk(min(k, scores.shape[-1])).values[..., -1:]
    return scores.masked_fill(scores < least, -torch.inf)


def top_p(scores: Float[Tensor, "s V"], p: float) -> Float[Tensor, "s V"]:
    """−∞ for the least likely that together hold at most 1 − p; the likeliest always stays."""
    if p == 1:
        return scores
    ordered, places = scores.sort(descending=False)
    out = ordered.softmax(-1).cumsum(-1) <= 1 - p
    out[..., -1] = False
    return scores.masked_fill(out.scatter(-1, places, out), -torch.inf)


def warp(scores: Float[Tensor, "s V"], options: SamplingOptions) -> Float[Tensor, "s V"]:
    """All three: what is drawn from is the softmax of this."""
    return top_p(top_k(temperature(scores, options.temperature), options.top_k), options.top_p)


def stages(logits: Float[Tensor, V], options: SamplingOptions) -> list[SamplingStage]:  # noqa: F821
    """The distribution of one step as the model gives it, and after each of the three."""
    rows = [logits.float()[None]]
    rows += [temperature(rows[-1], options.temperature)]
    rows += [top_k(rows[-1], options.top_k)]
    rows += [top_p(rows[-1], options.top_p)]
    found: list[SamplingStage] = []
    for name, row in zip(STAGES, rows, strict=True):
        p = row[0].double().softmax(-1)
        kept = torch.isfinite(row[0])
        before = found[-1].probabilities if name in ("top_k", "top_p") else p
        found.append(SamplingStage(name, p, int(kept.sum()), float(before[kept].sum()), float(entropy(p))))
    return found


@dataclass(frozen=True)
class Drawn:
    """One drawn text: its tokens, whether it ended, and log p of each token (nats) under the model's own distribution
    and under the one that was drawn from."""

    tokens: tuple[int, ...]
    ended: bool
    log_p: tuple[float, ...]
    log_p_cut: tuple[float, ...]


def draw(decoder: Decoder, count: int, new_tokens: int, options: SamplingOptions, seed: int) -> list[Drawn]:
    """`count` texts; the same seed draws the same. A text that has ended waits for the others."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.tensor([list(decoder.start)] * count)
    ended = torch.zeros(count, dtype=torch.bool)
    plain, cut = [], []
    for step in range(decoder.tokens_left(new_tokens)):
        tick("writing", step / new_tokens)
        logits = decoder.logits(ids).float()
        allowed = logits.clone()
        allowed[:, list(decoder.never)] = -torch.inf
        scores = warp(allowed, options)
        token = torch.multinomial(scores.softmax(-1), 1, generator=generator)
        plain.append(logits.double().log_softmax(-1).gather(1, token)[:, 0])
        cut.append(scores.double().log_softmax(-1).gather(1, token)[:, 0])
        ids = torch.cat([ids, token], dim=1)
        ended |= torch.tensor([int(t) in decoder.ends for t in token[:, 0]])
        if bool(ended.all()):
            break
    written = ids[:, len(decoder.start) :].tolist()
    return drawn(written, decoder.ends, torch.stack(plain, 1), torch.stack(cut, 1))


def drawn(rows: list[list[int]], ends: frozenset[int], log_p: Tensor, log_p_cut: Tensor) -> list[Drawn]:
    """Rows of equal length, each cut after its end token, with the log-probabilities [s, steps] of its tokens."""
    found = []
    for i, row in enumerate(rows):
        tokens = until_end(row, ends)
        numbers = (tuple(part[i, : len(tokens)].tolist()) for part in (log_p, log_p_cut))
        found.append(Drawn(tokens, tokens[-1] in ends, *numbers))
    return found


def until_end(row: list[int], ends: frozenset[int]) -> tuple[int, ...]:
    """What was written up to and with its end token; all of it where none stands in it."""
    return tuple(row[: next((n + 1 for n, token in enumerate(row) if token in ends), len(row))])
