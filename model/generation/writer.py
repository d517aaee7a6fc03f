"""Writing one token after the other: what any way of decoding asks of a model, and what a recorded run says of its steps.

The mask of a decoder lets no row see a later token. So one forward over the finished text gives in row t the very
distribution and attention that step t of the writing had; `difference` measures how nearly, which is rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.checkpoints.own import OwnModel
from model.jobs.progress import tick
from model.text.tokenizer import END
from model.trace.attention_record import AttentionRecord
from model.trace.logits import LIKELIEST
from model.trace.record_own import record_run
from model.trace.site import Site
from model.trace.tensors import Store
from model.trace.trace import Trace
from model.transformer.attention import attend
from model.transformer.encoder_decoder import Transformer
from model.transformer.masks import Mask, padding
from model.transformer.positions import alibi_bias


def room(longest: int, standing: int, new_tokens: int) -> int:
    """How many of `new_tokens` may be written after `standing` ones where `longest` are allowed; one always."""
    return max(1, min(new_tokens, longest - standing))


@dataclass(frozen=True, eq=False)
class Writer:
    """A model about to write.

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

    def room(self, new_tokens: int) -> int:
        """How many of `new_tokens` may still be written; one always."""
        return room(self.longest, len(self.start), new_tokens)


@dataclass(frozen=True)
class Choice:
    """What followed decoder `row`: the token, its probability there and its rank (0: the likeliest); None where a thinned
    record does not say."""

    row: int
    id: int
    token: str
    probability: float | None
    rank: int | None


def own_writer(model: OwnModel, trace: Trace) -> Writer:
    """One of our own models, asked to answer the source of `trace` in its language."""
    source = torch.tensor(trace.token_ids("encoder"))
    module = model.module
    with model.lock, torch.no_grad():
        memory = module.encode(source[None])

    def logits(ids: Int[Tensor, "s n"]) -> Float[Tensor, "s V"]:
        with model.lock, torch.no_grad():
            return module.decode(ids, memory.expand(len(ids), -1, -1), source.expand(len(ids), -1))[:, -1]

    def record(ids: Sequence[int]) -> Mapping[Site, AttentionRecord]:
        with model.lock:
            return record_run(module, source, torch.tensor(list(ids)))[1]

    def stepwise(ids: Sequence[int], first: int) -> Iterable[Tensor]:
        for n in range(first, len(ids) + 1):
            tick("writing", (n - first) / (len(ids) + 1 - first))
            yield logits(torch.tensor([list(ids[:n])]))[0]

    end = frozenset({model.target.ids[END]})
    start = (trace.token_ids("decoder")[0],)
    return Writer(start, end, module.config.max_length, logits, record, stepwise, (module.config.pad_id,))


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
class Difference:
    """Recorded forward against step-by-step decoding: largest |Δ logit|, how large logits are, largest |Δ p|, steps whose
    likeliest token differs."""

    logits: float
    size: float
    probability: float
    other: int
    steps: int


def difference(trace: Trace, writer: Writer) -> Difference:
    """Decode the text of `trace` again step by step and compare every step with its recorded row."""
    ids, shown = trace.token_ids("decoder"), rows(trace)
    largest, size, probability, other = 0.0, 1.0, 0.0, 0
    texts = ids[: shown[-1] + 1]
    for row, again in zip(shown, writer.stepwise(texts, shown[0] + 1), strict=True):
        mine, theirs = _kept(trace, row, again)
        largest = max(largest, float((mine - theirs).abs().max()))
        size = max(size, float(mine.abs().max()))
        probability = max(probability, float((_p(trace, row, mine) - _p(trace, row, theirs, again)).abs().max()))
        other += int(mine.argmax()) != int(theirs.argmax())
    return Difference(largest, size, probability, other, len(shown))


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


def row_logits(trace: Trace, row: int, writer: Writer | None) -> Float[Tensor, V] | None:  # noqa: F821
    """All logits of a row: as recorded, else (a thinned record) computed again by `writer`, else None."""
    if trace.logits is not None:
        return trace.logits[row]
    if writer is None:
        return None
    return writer.logits(torch.tensor([trace.token_ids("decoder")[: row + 1]]))[0]


def recorded_total(store: Store, tokens: Sequence[int]) -> float | None:
    """Σ log p (nats, float64) of the last len(tokens) written, by the rows of a recorded run over all but the last."""
    if "logits" not in store:
        return None
    rows = store["logits"][-len(tokens) :].double().log_softmax(-1)
    return float(rows.gather(1, torch.tensor(list(tokens))[:, None]).sum())


class CachedDecoder:
    """Our own decoder with a cache of keys and values: one row a step, everything older is looked up.

    `step(id)` gives the logits [V] after that token; `cache` holds k and v [1, h, n, d_k] of each layer's self-attention,
    `memory` those of its cross-attention, made once. Not for relative positions (Shaw et al.), whose kernel takes whole
    matrices: `possible` says so.
    """

    def __init__(self, module: Transformer, source: Int[Tensor, n]):  # noqa: F821
        self.module, self.cache = module, [(None, None)] * len(module.decoder)
        self.mask, self.position = padding(source[None], module.config.pad_id), 0
        with torch.no_grad():
            memory = module.encode(source[None])
            crosses = [layer.cross_attention for layer in module.decoder]
            self.memory = [(a.split(a.W_K(memory)), a.split(a.W_V(memory))) for a in crosses]

    @staticmethod
    def possible(module: Transformer) -> bool:
        return module.config.positions != "relative"

    @torch.no_grad()
    def step(self, token: int) -> Float[Tensor, V]:  # noqa: F821
        x = self._embed(token)
        for i, layer in enumerate(self.module.decoder):
            x = layer.self_add(x, lambda y, i=i, layer=layer: self._own(i, layer.self_attention, y))
            x = layer.cross_add(x, lambda y, i=i, layer=layer: self._cross(i, layer.cross_attention, y))
            x = layer.ffn_add(x, layer.ffn)
        self.position += 1
        return self.module.project(self.module.decoder_norm(x))[0, 0]

    def _embed(self, token: int) -> Tensor:
        target = self.module.target
        x = target.tokens(torch.tensor([[token]])) * target.factor
        if target.positions is not None:
            x = x + target.positions.encoding(self.position + 1)[None, -1:]
        return x

    def _own(self, i: int, attention, x: Tensor) -> Tensor:
        q, k, v = (attention.split(linear(x)) for linear in (attention.W_Q, attention.W_K, attention.W_V))
        if attention.rotary is not None:
            q, k = (self._turned(attention.rotary, part) for part in (q, k))
        keys, values = self.cache[i]
        k, v = (k, v) if keys is None else (torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2))
        self.cache[i], n, bias = (k, v), k.shape[2], None
        if attention.slopes is not None:
            bias = alibi_bias(attention.slopes.to(q), n, n, slice(n - 1, n))
        context, _ = attend(q, k, v, attention.scale, Mask(), bias)
        return attention.W_O(context.transpose(-2, -3).flatten(-2))

    def _turned(self, rotary, part: Tensor) -> Tensor:
        """One row turned as position `position`, which the rule knows by the rows before it."""
        rows = part.new_zeros(*part.shape[:2], self.position + 1, part.shape[3])
        rows[:, :, -1:] = part
        return rotary(rows)[:, :, -1:]

    def _cross(self, i: int, attention, x: Tensor) -> Tensor:
        context, _ = attend(attention.split(attention.W_Q(x)), *self.memory[i], attention.scale, self.mask)
        return attention.W_O(context.transpose(-2, -3).flatten(-2))
