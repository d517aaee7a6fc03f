"""Extractive question answering: the likeliest answers in the text, from the scores of a start and an end at every token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LONGEST = 15  # tokens of an answer: what the library's question-answering pipeline allowed by itself
_MOST = 5
# What a head that searches (XLNet, XLM) gives instead of start and end logits.
BEAM = ("start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index", "cls_logits")


@dataclass(frozen=True)
class Span:
    """The tokens `start` to `end`, both in it, and the probability of that span."""

    start: int
    end: int
    probability: float


def probabilities(start_logits: Tensor, end_logits: Tensor) -> tuple[Tensor, Tensor]:
    """float64 [n] each: that the answer starts, and that it ends, at a token; each a softmax over all tokens."""
    return start_logits.double().softmax(-1), end_logits.double().softmax(-1)


def best_spans(
    start_logits: Tensor, end_logits: Tensor, allowed: Sequence[bool], most: int = _MOST, longest: int = LONGEST
) -> list[Span]:
    """The likeliest spans, best first: start ≤ end, at most `longest` tokens, each of them `allowed`.

    The probability of a span is p(start) · p(end), each a softmax over all n tokens as in training, those not allowed
    among them: what is missing to 1 lies on spans that are no answer.
    """
    first, last = probabilities(start_logits, end_logits)
    usable = torch.tensor(list(allowed), dtype=torch.bool)
    found: list[Span] = []
    whole = usable.clone()  # whether all tokens from a start to its end are allowed
    for length in range(min(longest, len(usable))):
        if length:
            whole = whole[:-1] & usable[length:]
        scores = torch.where(whole, first[: len(whole)] * last[length:], -1.0)
        best = scores.topk(min(most, len(scores)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found += [Span(i, i + length, p) for i, p in pairs if p >= 0]
    return sorted(found, key=lambda span: (-span.probability, span.start, span.end))[:most]


def beam_spans(
    found: Mapping[str, Tensor], allowed: Sequence[bool], most: int = _MOST, longest: int = LONGEST
) -> list[Span]:
    """The likeliest spans of a head whose end depends on its start, among the few starts and ends that it gives.

    found: the tensors named in `BEAM`. The probability of a span is p(start) · p(end | start).
    """
    starts, first = found["start_top_index"].tolist(), found["start_top_log_probs"].double()
    # [ends, starts]; the library calls them log_probs, and they are a softmax.
    ends = found["end_top_index"].reshape(-1, len(starts)).tolist()
    last = found["end_top_log_probs"].double().reshape(-1, len(starts))
    spans = [
        Span(start, row[i], float(first[i] * last[j, i]))
        for i, start in enumerate(starts)
        for j, row in enumerate(ends)
        if start <= row[i] < start + longest and all(allowed[start : row[i] + 1])
    ]
    return sorted(spans, key=lambda span: (-span.probability, span.start, span.end))[:most]
