"""Span corruption, and a task with its name in front: T5 (Raffel et al. 2020, sections 3.1.4 and 3.3.4).

15 in 100 tokens are left out in spans of 3 on average; a sentinel stands for each span, and the target is every sentinel
with what it stands for, and one more at the end (figure 2). The library has no collator for it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from model.small_families import words
from model.small_families.family import (
    HEADS,
    WIDTH,
    Batch,
    Collator,
    SmallFamily,
    english,
    padded,
    padded_labels,
)
from model.training.language.texts import SUMMARIES, Text, texts

PREFIX = "summarize: "
DENSITY, MEAN_SPAN = 0.15, 3.0
SENTINELS = 16


def corrupted(
    ids: Sequence[int], sentinels: Sequence[int], draw: random.Random, density: float = DENSITY, mean: float = MEAN_SPAN
) -> tuple[list[int], list[int]]:
    """Ids of a text without its end -> (what is read, what is to be written), spans replaced by sentinels."""
    noise = min(max(round(len(ids) * density), 1), len(ids) - 1)
    spans = min(max(round(noise / mean), 1), len(sentinels) - 1, len(ids) - noise)
    left_out, kept = _segments(noise, spans, draw), _segments(len(ids) - noise, spans, draw)
    read, wanted, at = [], [], 0
    for sentinel, keep, leave in zip(sentinels, kept, left_out, strict=False):
        read += [*ids[at : at + keep], sentinel]
        wanted += [sentinel, *ids[at + keep : at + keep + leave]]
        at += keep + leave
    return read, [*wanted, sentinels[spans]]


def _segments(total: int, parts: int, draw: random.Random) -> list[int]:
    """`total` as a sum of `parts` positive numbers, each way alike."""
    cuts = sorted(draw.sample(range(1, total), parts - 1))
    return [end - start for start, end in zip([0, *cuts], [*cuts, total], strict=True)]


class SpansAndSummaries:
    """A row is (ids of a text, None), whose spans are drawn when it is read, or (ids of a task, ids of its answer)."""

    shifted, reads = False, "pairs"

    def rows(self, tokenizer: Any, found: Sequence[Text]) -> list[Any]:
        rows = []
        for text in found:
            if text.summary:
                rows.append((tokenizer(PREFIX + text.text)["input_ids"], tokenizer(text.summary)["input_ids"]))
            else:
                rows.append((tokenizer(text.text)["input_ids"], None))
        return rows

    def collator(self, tokenizer: Any, seed: int, ramp: int = 0) -> Collator:
        draw, end = random.Random(seed), tokenizer.eos_token_id
        sentinels = tokenizer.convert_tokens_to_ids([f"<extra_id_{number}>" for number in range(SENTINELS)])

        def collate(rows: Sequence[Any]) -> Batch:
            pairs = []
            for source, target in rows:
                if target is None:
                    read, wanted = corrupted(source[:-1], sentinels, draw)
                    source, target = [*read, end], [*wanted, end]
                pairs.append((source, target))
            return padded(tokenizer, [pair[0] for pair in pairs]) | {"labels": padded_labels([p[1] for p in pairs])}

        return collate

    def length(self, row: Any) -> int:
        return len(row[0])


def with_summaries(seed: int, split: str) -> Iterator[Text]:
    """Texts of our grammar and summaries in turn."""
    for text, summary in zip(english(seed, split), texts(seed + 1, split, "en", SUMMARIES), strict=False):
        yield text
        yield summary


FAMILIES = (
    SmallFamily(
        "small-t5", "T5ForConditionalGeneration", "T5Config", "T5Tokenizer", SpansAndSummaries(),
        {"d_model": WIDTH, "d_kv": WIDTH // HEADS, "d_ff": 4 * WIDTH, "num_layers": 2, "num_decoder_layers": 2,
         "num_heads": HEADS, "dropout_rate": 0.0, "decoder_start_token_id": 0},
        words.T5, {"extra_ids": SENTINELS}, vocabulary=1300, corpus=with_summaries, texts=40_000,
        steps=1_000, score="summary",
    ),
)  # fmt: skip
