"""Parallel sentences with gold word alignments: English with 中文 (`zh`) and français (`fr`), from our own grammar.

Training, validation and test sentences are kept apart by content: the bag of English words decides, through a stable
hash, in which of the three a sentence belongs, so that neither the punctuation nor the order of the words can carry a
sentence over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from model.training.language import chinese, english, french
from model.training.language.plans import Piece, Plan, asks
from model.training.language.random_plans import Sampler

LANGUAGES = ("zh", "fr")
_REALISERS = {"zh": chinese.say, "fr": french.say}
_STOPS = {"en": (".", "?"), "zh": ("。", "？"), "fr": (".", "?")}


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation. `alignment[t]` holds the source positions that target word t stands for."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    alignment: tuple[tuple[int, ...], ...]
    language: str


def _stopped(words: list[Piece], language: str, plan: Plan, stop: bool) -> list[Piece]:
    return [*words, Piece(_STOPS[language][asks(plan)], ("stop",))] if stop else words


def align(source: list[Piece], target: list[Piece]) -> tuple[tuple[int, ...], ...]:
    """For each target word, the positions of the source words that share a node of the plan with it."""
    where: dict[str, list[int]] = {}
    for index, piece in enumerate(source):
        for node in piece.nodes:
            where.setdefault(node, []).append(index)
    return tuple(tuple(sorted({i for node in piece.nodes for i in where.get(node, ())})) for piece in target)


def translate(plan: Plan, language: str, stop: bool = False) -> Pair:
    """Say a plan in English and in `language`, with or without the final punctuation."""
    source = _stopped(english.say(plan), "en", plan, stop)
    target = _stopped(_REALISERS[language](plan), language, plan, stop)
    return Pair(
        tuple(piece.word for piece in source), tuple(piece.word for piece in target), align(source, target), language
    )


def content_key(words: tuple[str, ...] | list[str]) -> str:
    """What decides the split: the English words without punctuation, in alphabetical order."""
    return " ".join(sorted(word for word in words if word not in ".?"))


def split_of(words: tuple[str, ...] | list[str]) -> str:
    """train, validation or test (92, 4 and 4 in a hundred), by a hash that is the same on every machine."""
    number = int.from_bytes(hashlib.sha256(content_key(words).encode()).digest()[:4], "big") % 100
    return "test" if number < 4 else "validation" if number < 8 else "train"


def plans(seed: int, split: str) -> Iterator[tuple[Plan, bool]]:
    """Endless (plan, whether it ends in punctuation) of one split, no English sentence twice."""
    sampler, seen = Sampler(seed), set()
    while True:
        plan = sampler.plan()
        stop = sampler.often(0.5)
        words = tuple(piece.word for piece in english.say(plan))
        if split_of(words) == split and words not in seen:
            seen.add(words)
            yield plan, stop


def pairs(language: str, count: int, seed: int = 0, split: str = "train") -> list[Pair]:
    """`count` different sentences of a split, translated."""
    return [translate(plan, language, stop) for (plan, stop), _ in zip(plans(seed, split), range(count), strict=False)]


def gold_alignment(source_words: tuple[str, ...] | list[str], language: str) -> Pair | None:
    """The grammar's own translation, aligned, of an English sentence that it could say; None for any other.

    source_words are as the model's tokenizer reads them, with or without the final "." or "?".
    """
    from model.training.language.parse_sentences import parse

    words = tuple(source_words)
    stop = bool(words) and words[-1] in ".?"
    plan = parse(words[:-1] if stop else words) if len(words) > stop else None
    if plan is None or (stop and words[-1] != _STOPS["en"][asks(plan)]):
        return None
    return translate(plan, language, stop)
