"""Coreference heads: which of them link the pronoun "it", the adjective that decides, and the noun that is meant.

In "the animal didn't cross the street because it was too wide" only the last word says what `it` is, and the French
pronoun (il, elle) must agree with that noun. The grammar knows the noun, so the heads can be scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.training.data import Example, Vocabulary, encode
from model.training.evaluate import cross_weights, encoder_weights
from model.training.language import english
from model.training.language.grammar import split_of, translate
from model.training.language.plans import Because
from model.training.language.random_plans import Sampler
from model.transformer.encoder_decoder import Transformer

SEED = 30_000


@dataclass(frozen=True)
class Case:
    """A held-out sentence with the positions of `it`, of the adjective, and of the noun that is meant.

    `pronoun` is the target position of il or elle.
    """

    example: Example
    it: int
    adjective: int
    noun: int
    pronoun: int


def cases(count: int, seed: int = SEED) -> list[Case]:
    """`count` different test sentences of the family, with their French translation."""
    sampler, found = Sampler(seed), {}
    while len(found) < count:
        plan = sampler.because()
        source = english.say(plan)
        words = tuple(piece.word for piece in source)
        if split_of(words) == "test":
            found.setdefault(words, _case(plan))
    return list(found.values())


def _case(plan: Because) -> Case:
    source, pair = english.say(plan), translate(plan, "fr")
    node = {"subject": "s.noun", "object": "o.noun", "place": "place.noun"}[plan.said_of]
    (noun,) = (i for i, piece in enumerate(source) if node in piece.nodes)
    it = next(i for i, piece in enumerate(source) if "it" in piece.nodes)
    pronoun = pair.alignment.index((it,))
    return Case(Example(pair.source, pair.target, "fr", pair.alignment), it, len(source) - 1, noun, pronoun)


def coreference(module: Transformer, vocabulary: Vocabulary, count: int = 300) -> dict[str, object] | None:
    """Share of sentences in which a head's largest weight goes where the reference is, for the best head of each kind.

    adjective_to_noun: encoder, row of the adjective, key of the noun that is meant. it_to_noun: the same from `it`.
    pronoun_to_adjective: decoder cross-attention, the row that writes il or elle, key of the adjective. None where the
    vocabulary, of few training sentences, lacks a word of them.
    """
    found = cases(count)
    examples = [case.example for case in found]
    words = {(side, word) for one in examples for side in ("source", "target") for word in getattr(one, side)}
    if words - {(side, word) for side in ("source", "target") for word in getattr(vocabulary, side)}:
        return None
    source, target = encode(examples, vocabulary).batch(torch.arange(count))
    inside, across = encoder_weights(module, source), cross_weights(module, source, target)
    it, adjective, noun, pronoun = (
        torch.tensor([getattr(case, name) for case in found]) for name in ("it", "adjective", "noun", "pronoun")
    )
    return {
        "adjective_to_noun": _best(inside, adjective, noun),
        "it_to_noun": _best(inside, it, noun),
        "pronoun_to_adjective": _best(across, pronoun, adjective),
        "n": count,
    }


def _best(weights: dict[str, Tensor], rows: Tensor, keys: Tensor) -> dict[str, object]:
    """The head whose row `rows[b]` most often has its largest weight at `keys[b]`; weights {site: [b, h, q, k]}."""
    every = {}
    for site, w in weights.items():
        chosen = w[torch.arange(len(rows)), :, rows].argmax(-1)  # [b, h, q, k] -> [b, h, k] -> [b, h]
        every[site] = (chosen == keys[:, None]).float().mean(0).tolist()
    site, head, share = max(((s, h, v) for s, row in every.items() for h, v in enumerate(row)), key=lambda x: x[2])
    return {"site": site, "head": head, "share": round(share, 4)}
