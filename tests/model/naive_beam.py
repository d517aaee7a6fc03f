"""Beam search with lists of texts, float64 and sorted(), for the tests to compare with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Text = tuple[int, ...]


def search(
    log_p: Callable[[Text], np.ndarray], size: int, end: int, k: int, alpha: float, limit: int
) -> list[tuple[float, Text]]:
    """(score, text), best first: k running texts, 2 k continuations a step, an end counts among the first k."""
    running: list[tuple[float, Text]] = [(0.0, ())]
    finished: list[tuple[float, Text]] = []
    for n in range(1, limit + 1):
        every = [(total + log_p(text)[t], (*text, t)) for total, text in running for t in range(size)]
        every = sorted(every, key=lambda each: -each[0])[: 2 * k]
        over = [(total / n**alpha, text) for total, text in every[:k] if text[-1] == end or n == limit]
        finished = sorted(finished + over, key=lambda each: -each[0])[:k]
        running = [each for each in every if each[1][-1] != end][:k]
        if len(finished) == k and running[0][0] / n**alpha <= finished[-1][0]:
            break
    return finished
