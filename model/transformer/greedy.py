"""Decoding with our own Transformer: the target is written token by token, always the most probable next one."""

from __future__ import annotations

import torch
from torch import Tensor

from model.jobs.device import host
from model.transformer.encoder_decoder import Transformer


def greedy(module: Transformer, source: Tensor, start: int, end: int, limit: int) -> tuple[list[int], bool]:
    """Source ids [n] -> (target ids beginning with `start`, without `end`; whether `end` was reached in `limit` steps)."""
    ids, finished = greedy_batch(module, source[None], [start], end, limit)
    return ids[0], finished[0]


def greedy_batch(
    module: Transformer, source: Tensor, starts: list[int], end: int, limit: int
) -> tuple[list[list[int]], list[bool]]:
    """The same for padded sources [b, n] with a start token each; a finished row is cut at its `end`."""
    limit = min(limit, module.config.max_length)
    with torch.no_grad():
        memory = module.encode(source)
        target = torch.tensor(starts)[:, None]
        done = torch.zeros(len(starts), dtype=torch.bool)
        while target.shape[1] < limit and not bool(done.all()):
            logits = host(module.decode(target, memory, source)[:, -1])
            # Padding is no word: a model must not be able to end a sentence by writing it.
            logits[:, module.config.pad_id] = -torch.inf
            step = torch.where(done, torch.full_like(done, end, dtype=torch.long), logits.argmax(-1))
            done |= step == end
            target = torch.cat([target, step[:, None]], dim=1)
    rows = [row[: row.index(end)] if end in row else row for row in target.tolist()]
    return rows, done.tolist()
