"""Denoising: BART (Lewis et al. 2020, section 2.2): sentences in another order, and 30 in 100 tokens in masked spans.

A span has a length of Poisson(3) and becomes one mask, whatever its length; one of none puts a mask in. The target is the
whole text. The library has no collator for it. In the first half of a training the damage grows from none: a model this small
learns to read its source while that is nearly its target, and does not in as many steps of full damage.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

from model.small_families import words
from model.small_families.family import (
    HEADS,
    LENGTH,
    WIDTH,
    Batch,
    Collator,
    SmallFamily,
    padded,
    padded_labels,
)
from model.training.language.texts import Text

DENSITY, MEAN_SPAN = 0.3, 3.0


def poisson(mean: float, draw: random.Random) -> int:
    """One number of a Poisson distribution, by multiplying uniform ones (Knuth, volume 2, 3.4.1)."""
    limit, product, count = math.exp(-mean), draw.random(), 0
    while product > limit:
        product *= draw.random()
        count += 1
    return count


def infilled(
    ids: Sequence[int], mask: int, draw: random.Random, density: float = DENSITY, mean: float = MEAN_SPAN
) -> list[int]:
    """Ids of a text without its frame -> with spans that become one mask each, never two side by side."""
    budget, spans = round(len(ids) * density), []
    while budget > 0:
        spans.append(min(poisson(mean, draw), budget))
        budget -= max(spans[-1], 1)  # a mask that is put in counts as one token
    kept = len(ids) - sum(spans)
    spans = spans[: kept + 1]
    places = dict(zip(sorted(draw.sample(range(kept + 1), len(spans))), spans, strict=True))
    found, at = [], 0
    for place in range(len(ids) - sum(spans) + 1):
        if place in places:
            found.append(mask)
            at += places[place]
        found += ids[at : at + 1]
        at += 1
    return found


class Denoising:
    """A row is the sentences of a text."""

    shifted, reads = False, "pairs"

    def rows(self, tokenizer: Any, found: Sequence[Text]) -> list[Any]:
        return [text.sentences for text in found]

    def collator(self, tokenizer: Any, seed: int, ramp: int = 0) -> Collator:
        draw, mask, done = random.Random(seed), tokenizer.mask_token_id, itertools.count(1)

        def collate(rows: Sequence[Any]) -> Batch:
            share = min(1.0, next(done) / ramp) if ramp else 1.0
            read, wanted = [], []
            for sentences in rows:
                order = draw.sample(sentences, len(sentences)) if draw.random() < share else sentences
                first, *inner, last = tokenizer(" ".join(order))["input_ids"]
                read.append([first, *infilled(inner, mask, draw, share * DENSITY), last])
                wanted.append(tokenizer(" ".join(sentences))["input_ids"])
            return padded(tokenizer, read) | {"labels": padded_labels(wanted)}

        return collate

    def length(self, row: Any) -> int:
        return sum(sentence.count(" ") + 2 for sentence in row)


FAMILIES = (
    SmallFamily(
        "small-bart", "BartForConditionalGeneration", "BartConfig", "BartTokenizer", Denoising(),
        {"d_model": WIDTH, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": HEADS,
         "decoder_attention_heads": HEADS, "encoder_ffn_dim": 4 * WIDTH, "decoder_ffn_dim": 4 * WIDTH,
         "max_position_embeddings": LENGTH, "dropout": 0.0, "forced_eos_token_id": None},
        words.BART, vocabulary=1100, batch=24, steps=2_000,
    ),
)  # fmt: skip
