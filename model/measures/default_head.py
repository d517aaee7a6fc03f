"""The head that is shown first: a card's best aligned one, else that of the largest mean maximum; and uniform heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from model.measures.default_cell import elsewhere
from model.trace.site import Site

if TYPE_CHECKING:
    from torch import Tensor

    from model.trace.trace import Trace


# The heads of a longer text are not searched: that takes every weight of each.
LONG = 256


# Weights this near to each other are no choice.
_EVEN = 1e-3


def aligned_head(card: dict[str, Any], language: str | None) -> dict[str, Any]:
    """What the card measured as the best-aligning head of a language: site, head, agreement; {} where it did not.

    The row that writes a word is the one whose ribbons are drawn, so the agreement of "predicting" rows decides.
    """
    return card.get("alignment", {}).get(language or "", {}).get("predicting", {})


def crosses(weights: Tensor) -> bool:
    """Whether two rows of a head (weights [q, k]) point at keys in the other order: their ribbons cross."""
    best = weights.argmax(-1)
    return bool((best[1:] < best[:-1]).any())


def best_head(trace: Trace, card: dict[str, Any], language: str | None) -> tuple[Site, int]:
    """The head that a first look shows: what the card says aligns best, else one whose rows point at single words.

    Of models without cross-attention, weights on special tokens and on the query's own and neighbouring places do not
    count: most heads look there, and they would all be alike. Of a long text the middle layer's head 0.
    """
    told = aligned_head(card, language)
    if told.get("site") in {str(site) for site in trace.sites}:
        return Site.parse(told["site"]), int(told["head"])
    crosses = [site for site in trace.sites if site.kind == "cross"]
    candidates = crosses or list(trace.sites)
    if max(len(side.tokens) for side in trace.sides.values()) > LONG:
        return candidates[len(candidates) // 2], 0
    sharpness = {
        (site, head): pointed(trace, site, head) for site in candidates for head in range(trace.record(site).heads)
    }
    return max(sharpness, key=lambda place: np.nan_to_num(sharpness[place], nan=-1.0))  # one of NaN only where all are


def pointed(trace: Trace, site: Site, head: int, rows: int | None = None) -> float:
    """How sharply a head points: the mean over its rows of the strongest weight; in self-attention on a word not near.

    rows: over the first of them alone, all unless told.
    """
    weights = trace.weights(site, head)[:rows].numpy()
    if site.kind == "self":
        weights = elsewhere(trace, site, weights, near=1)
    return float(weights.max(axis=-1).mean())


def uniform_heads(trace: Trace) -> list[tuple[Site, int]]:
    """Heads that give every allowed key the same weight in every row that has a choice: untrained, or switched off.

    Of a long text nothing is said, because it takes every head's weights.
    """
    if max(len(side.tokens) for side in trace.sides.values()) > LONG:
        return []
    found = []
    for site, record in trace.attention.items():
        allowed = record.allowed().numpy()
        choice = allowed.sum(-1) > 2
        if not choice.any():
            continue
        even = allowed / np.maximum(1, allowed.sum(-1, keepdims=True))
        for head in range(record.heads):
            if np.abs(record.weights(head).numpy() - even)[choice].max() < _EVEN:
                found.append((site, head))
    return found
