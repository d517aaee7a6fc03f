"""The loop that all small families share: AdamW, warm-up and half a cosine, the library's own loss of `labels`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from model.small_families.family import Batch, Collator

Progress = Callable[[int, int, dict[str, float]], None]
_CHUNK = 50  # batches that are sorted by length together
WARM_UP = 0.06  # of all steps


@dataclass
class Curve:
    """How a training went: (step, mean training loss since the last point, held-out loss, learning rate); seconds."""

    points: list[tuple[int, float, float, float]] = field(default_factory=list)
    seconds: float = 0.0


def batches(
    rows: Sequence[Any], length: Callable[[Any], int], size: int, generator: torch.Generator
) -> Iterator[list[Any]]:
    """Endless batches of rows of like length, every row once before any comes again."""
    lengths = torch.tensor([length(row) for row in rows])
    while True:
        order = torch.randperm(len(rows), generator=generator)
        for part in order.split(size * _CHUNK):
            groups = part[torch.argsort(lengths[part], stable=True)].split(size)
            for index in torch.randperm(len(groups), generator=generator).tolist():
                yield [rows[i] for i in groups[index].tolist()]


def optimise(
    module: nn.Module,
    rows: Iterator[list[Any]],
    collate: Collator,
    steps: int,
    peak: float,
    held_out: Callable[[], float],
    progress: Progress | None = None,
) -> Curve:
    """Train `module` in place. held_out: the loss on held-out texts, asked for at twenty steps."""
    from transformers import get_cosine_schedule_with_warmup

    curve, begun, recent = Curve(), time.perf_counter(), []
    adam = torch.optim.AdamW(module.parameters(), lr=peak, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.01)
    schedule = get_cosine_schedule_with_warmup(adam, max(1, int(steps * WARM_UP)), steps)
    every = max(1, steps // 20)
    module.train()
    for step in range(1, steps + 1):
        batch: Batch = collate(next(rows))
        loss = module(**batch).loss
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        rate = schedule.get_last_lr()[0]
        adam.step()
        schedule.step()
        recent.append(loss.item())
        if step % every == 0 or step in (1, steps):
            module.eval()
            curve.points.append((step, round(sum(recent) / len(recent), 5), round(held_out(), 5), round(rate, 7)))
            module.train()
            recent = []
        if progress:
            progress(step, steps, {"loss": loss.item(), "validation": curve.points[-1][2], "rate": rate})
    curve.seconds = time.perf_counter() - begun
    module.eval()
    return curve
