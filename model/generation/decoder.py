"""Next-token decoding: the interface every decoding method asks of a model, and the step-by-step choices of a recorded run.

The mask of a decoder lets no row see a later token. So one forward over the finished text gives in row t the very
distribution and attention that step t of the writing had; `difference` measures how nearly, which is rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from model.trace.attention_record import AttentionRecord
from model.trace.logits import LIKELIEST
from model.trace.site import Site
from model.trace.tensors import Store
from model.trace.trace import Trace


def tokens_left(longest: int, standing: int, new_tokens: int) -> int:
    """How many of `new_tokens` may be written after `standing` ones where `longest` are allowed; one always."""
    return max(1, min(new_tokens, longest - standing))


@dataclass(frozen=True, eq=False)
class Decoder:
    """What a decoding method needs of a model: start tokens, end tokens, next-token logits and recorded forwards.

    start: ids before the first written token (the start token, or a decoder's prompt). ends: end tokens. longest: tokens
    that may stand, `start` included. never: ids that may not be written. logits: ids [s, n] -> the logits [s, V] of the
    token after each of s texts of equal length. record: ids -> the attention of one recorded forward over that text.
    stepwise: ids [n], first -> the logits [V] after ids[:first], ids[:first + 1], …, ids[:n], decoded step by step.
    """

    start: tuple[int, ...]
    ends: frozenset[int]
    longest: int
    logits: Callable[[Tensor], Tensor]
    record: Callable[[Sequence[int]], Mapping[Site, AttentionRecord]]
    stepwise: Callable[[Sequence[int], int], Iterable[Tensor]]
    never: tuple[int, ...] = ()

    def tokens_left(self, new_tokens: int) -> int:
        """How many of `new_tokens` may still be written; one always."""
        return tokens_left(self.longest, len(self.start), new_tokens)


@dataclass(frozen=True)
class Choice:
    """What followed decoder `row`: the token, its probability there and its rank (0: the likeliest); None where a thinned
    record does not say."""

    row: int
    id: int
    token: str
    probability: float | None
    rank: int | None


def rows(trace: Trace) -> range:
    """The decoder rows that wrote something: after the prompt of a decoder, all of an encoder–decoder.

    Without a continuation a decoder's only step is the one after its text.
    """
    n = len(trace.side("decoder").tokens)
    if "encoder" in trace.sides:
        return range(n)
    prompt = int(trace.facts.get("prompt", n))
    return range(prompt - 1, max(prompt, n - 1))


def choice(trace: Trace, row: int) -> Choice:
    """The token that follows `row` in this run: the next one of the text, or the one that ended it."""
    ids, likely = trace.token_ids("decoder"), trace.next_tokens(row, LIKELIEST)
    text = trace.written()[row]
    number = ids[row + 1] if row + 1 < len(ids) else next((i for token, i, _ in likely if token == text), likely[0][1])
    if trace.logits is not None:
        scores = trace.logits[row].double()
        return Choice(row, number, text, float(scores.softmax(-1)[number]), int((scores > scores[number]).sum()))
    place = next((place for place, (_, i, _) in enumerate(likely) if i == number), None)
    return Choice(row, number, text, None if place is None else likely[place][2], place)


@dataclass(frozen=True)
class StepwiseDifference:
    """Recorded forward against step-by-step decoding: largest |Δ logit|, how large logits are, largest |Δ p|, steps whose
    likeliest token differs."""

    logits: float
    size: float
    probability: float
    other: int
    steps: int


def stepwise_difference(trace: Trace, decoder: Decoder) -> StepwiseDifference:
    """Decode the text of `trace` again step by step and compare every step with its recorded row."""
    ids, shown = trace.token_ids("decoder"), rows(trace)
    largest, size, probability, other = 0.0, 1.0, 0.0, 0
    texts = ids[: shown[-1] + 1]
    for row, again in zip(shown, decoder.stepwise(texts, shown[0] + 1), strict=True):
        mine, theirs = _kept(trace, row, again)
        largest = max(largest, float((mine - theirs).abs().max()))
        size = max(size, float(mine.abs().max()))
        probability = max(probability, float((_p(trace, row, mine) - _p(trace, row, theirs, again)).abs().max()))
        other += int(mine.argmax()) != int(theirs.argmax())
    return StepwiseDifference(largest, size, probability, other, len(shown))


def _kept(trace: Trace, row: int, again: Tensor) -> tuple[Tensor, Tensor]:
    """The logits that the record has of a row, and the same of another computation: float64, all or the likeliest."""
    if trace.logits is not None:
        return trace.logits[row].double(), again.double()
    return trace.store["likeliest.logits"][row].double(), again[trace.store["likeliest.ids"][row]].double()


def _p(trace: Trace, row: int, logits: Tensor, whole: Tensor | None = None) -> Tensor:
    if trace.logits is not None:
        return logits.softmax(-1)
    lse = trace.store["likeliest.lse"][row].double() if whole is None else whole.double().logsumexp(-1)
    return (logits - lse).exp()


def row_logits(trace: Trace, row: int, decoder: Decoder | None) -> Float[Tensor, V] | None:  # noqa: F821
    """All logits of a row: as recorded, else (a thinned record) computed again by `decoder`, else None."""
    if trace.logits is not None:
        return trace.logits[row]
    if decoder is None:
        return None
    return decoder.logits(torch.tensor([trace.token_ids("decoder")[: row + 1]]))[0]


def recorded_total(store: Store, tokens: Sequence[int]) -> float | None:
    """Σ log p (nats, float64) of the last len(tokens) written, by the rows of a recorded run over all but the last."""
    if "logits" not in store:
        return None
    rows = store["logits"][-len(tokens) :].double().log_softmax(-1)
    return float(rows.gather(1, torch.tensor(list(tokens))[:, None]).sum())
