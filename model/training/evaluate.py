"""Evaluation of a trained model: exact match on held-out examples, and alignment of each cross-attention head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model.text.tokenizer import END
from model.training.data import Encoded, Example, Vocabulary, encode
from model.training.objectives import Batch
from model.transformer.attention import softmax
from model.transformer.encoder_decoder import Transformer
from model.transformer.greedy import greedy_batch
from model.transformer.hook_points import run_with_hooks
from model.transformer.masks import RuleMask, padding

ROWS = ("predicting", "reading")


@dataclass(frozen=True)
class Agreement:
    """How often a head's largest weight falls on a gold source word, over the aligned target words.

    rows: "predicting" is the row whose output is the word, "reading" the row whose input is the word (one later).
    scores: site -> agreement of each head. words: how many target words were counted.
    """

    rows: str
    scores: Mapping[str, tuple[float, ...]]
    words: int

    @property
    def best(self) -> tuple[str, int, float]:
        """(site, 0-based head, agreement) of the head that aligns best."""
        return max(((s, h, v) for s, row in self.scores.items() for h, v in enumerate(row)), key=lambda item: item[2])


def exact_match(
    module: Transformer, examples: Sequence[Example], vocabulary: Vocabulary, size: int = 200
) -> tuple[float, list[tuple[Example, tuple[str, ...]]]]:
    """(share of examples that greedy decoding writes exactly, the failures with what was written)."""
    failures = [
        (example, tokens)
        for example, tokens, done in written(module, examples, vocabulary, size)
        if not done or tokens != example.target
    ]
    return 1 - len(failures) / len(examples), failures


def written(
    module: Transformer, examples: Sequence[Example], vocabulary: Vocabulary, size: int = 200
) -> Iterator[tuple[Example, tuple[str, ...], bool]]:
    """Each example, shortest target first, with what greedy decoding writes for it, and whether that came to an end."""
    ids = {token: i for i, token in enumerate(vocabulary.target)}
    order = sorted(examples, key=lambda example: len(example.target))
    for start in range(0, len(order), size):
        group = order[start : start + size]
        source, _ = encode(group, vocabulary).batch(torch.arange(len(group)))
        starts = [ids[vocabulary.starts[example.language]] for example in group]
        limit = max(len(example.target) for example in group) + 4
        rows, finished = greedy_batch(module, source, starts, ids[END], limit)
        for example, row, done in zip(group, rows, finished, strict=True):
            yield example, tuple(vocabulary.target[i] for i in row[1:]), done


def held_out_loss(
    module: Transformer,
    data: Encoded,
    objective: Callable[[Encoded, Tensor, torch.Generator], Batch],
    metrics: Mapping[str, Callable[[Tensor, Tensor], tuple[int, int]]] | None = None,
    size: int = 250,
) -> dict[str, float]:
    """Of the tokens that are asked: "validation_loss" (mean cross-entropy, nats, no smoothing), "perplexity" (its exponential:
    1 is perfect, |V| an even guess), "accuracy" (share whose most probable token is the right one), and the task's own metrics.

    The same words are masked at every call.
    """
    total, count, right, masks = 0.0, 0, 0, torch.Generator().manual_seed(0)
    own = {name: [0, 0] for name in metrics or ()}
    with torch.no_grad():
        for rows in torch.argsort(data.lengths, stable=True).split(size):
            batch = objective(data, rows, masks)
            logits, wanted, asked = module(batch.source, batch.target), batch.wanted, batch.wanted != 0
            loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=0, reduction="sum")
            predicted = logits.argmax(-1)
            total, count = total + float(loss), count + int(asked.sum())
            right += int(((predicted == wanted) & asked).sum())
            for name, sums in own.items():
                sums[:] = (a + b for a, b in zip(sums, metrics[name](predicted, wanted), strict=True))
    loss = total / count
    return {
        "validation_loss": loss, "perplexity": math.exp(min(loss, 700.0)), "accuracy": right / count,
        **{name: hits / max(1, of) for name, (hits, of) in own.items()},
    }  # fmt: skip


def encoder_weights(module: Transformer, source: Tensor) -> dict[str, Tensor]:
    """Source ids [b, n] -> {site: encoder self-attention weights [b, h, n, n]}, evaluation mode."""
    with torch.no_grad(), run_with_hooks(module) as activations:
        module.encode(source)
    allowed = padding(source, module.config.pad_id).allowed(source.shape[1], source.shape[1])
    return {
        f"encoder.{i}.self": _weights(activations, f"encoder.{i}.self_attention", layer.self_attention.scale, allowed)
        for i, layer in enumerate(module.encoder)
    }


def cross_weights(module: Transformer, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Source ids [b, n], target ids [b, m] -> {site: cross-attention weights [b, h, m, n]}, evaluation mode."""
    with torch.no_grad(), run_with_hooks(module) as activations:
        module(source, target)
    allowed = padding(source, module.config.pad_id).allowed(target.shape[1], source.shape[1])
    return {
        f"decoder.{i}.cross": _weights(
            activations, f"decoder.{i}.cross_attention", layer.cross_attention.scale, allowed
        )
        for i, layer in enumerate(module.decoder)
    }


def decoder_weights(module: Transformer, target: Tensor) -> dict[str, Tensor]:
    """Target ids [b, m] without padding -> {site: weights [b, h, m, m]} of a decoder alone, whose scores are q·kᵀ / √d_k and
    nothing more (neither ALiBi nor relative positions), evaluation mode."""
    with torch.no_grad(), run_with_hooks(module) as activations:
        module(None, target)
    allowed = RuleMask(True, None).allowed(target.shape[1], target.shape[1])
    return {
        f"decoder.{i}.self": _weights(activations, f"decoder.{i}.self_attention", layer.self_attention.scale, allowed)
        for i, layer in enumerate(module.decoder)
    }


def _weights(activations: Mapping[str, Tensor], path: str, scale: float, allowed: Tensor) -> Tensor:
    q, k = activations[f"{path}.q"], activations[f"{path}.k"]
    return softmax((q @ k.transpose(-1, -2) * scale).masked_fill(~allowed, -torch.inf))[0]


def agreement(
    module: Transformer, examples: Sequence[Example], vocabulary: Vocabulary, size: int = 200
) -> dict[str, Agreement]:
    """Alignment of every cross-attention head on gold-aligned examples, for both readings of a row (see `ROWS`)."""
    hits = {rows: {} for rows in ROWS}
    words = dict.fromkeys(ROWS, 0)
    aligned = [example for example in examples if any(example.alignment)]
    for start in range(0, len(aligned), size):
        group = aligned[start : start + size]
        source, target = encode(group, vocabulary).batch(torch.arange(len(group)))
        gold = torch.zeros(len(group), target.shape[1], source.shape[1], dtype=torch.bool)
        for row, example in enumerate(group):
            for t, positions in enumerate(example.alignment):
                gold[row, t, list(positions)] = True
        counted = gold.any(-1)
        chosen = {site: w.argmax(-1) for site, w in cross_weights(module, source, target).items()}
        for rows, shift in zip(ROWS, (0, 1), strict=True):
            # Word t is written by the row that has read words before t (row t), and read by row t + 1.
            length = target.shape[1] - shift
            words[rows] += int(counted[:, :length].sum())
            for site, key in chosen.items():
                right = gold[:, None, :length].expand(-1, key.shape[1], -1, -1).gather(3, key[:, :, shift:, None])
                hits[rows][site] = hits[rows].get(site, 0) + right[..., 0].sum((0, 2))
    return {
        rows: Agreement(rows, {site: tuple((n / words[rows]).tolist()) for site, n in found.items()}, words[rows])
        for rows, found in hits.items()
    }
