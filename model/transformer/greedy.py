"""Decoding with our own Transformer: the target is written token by token, always the most probable next one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.jobs.device import host
from model.transformer.encoder_decoder import Transformer


def greedy(
    module: Transformer, source: Tensor | None, start: int | Sequence[int], end: int, limit: int
) -> tuple[list[int], bool]:
    """Source ids [n], None of a decoder alone -> (target ids beginning with `start`, without `end`; whether `end` was
    reached before they were `limit` many). start: the start token, or it and what stands already."""
    begin = [start] if isinstance(start, int) else list(start)
    ids, finished = greedy_batch(module, None if source is None else source[None], [begin], end, limit)
    return ids[0], finished[0]


def greedy_batch(
    module: Transformer, source: Tensor | None, starts: Sequence[int] | Sequence[Sequence[int]], end: int, limit: int
) -> tuple[list[list[int]], list[bool]]:
    """The same for padded sources [b, n] with a start each, all of one length; a finished row is cut at its `end`."""
    limit = min(limit, module.config.max_length)
    with torch.no_grad():
        memory = None if source is None else module.encode(source)
        target = torch.tensor(starts).view(len(starts), -1)
        begun, done = target.shape[1], torch.zeros(len(starts), dtype=torch.bool)
        while target.shape[1] < limit and not bool(done.all()):
            logits = host(module.decode(target, memory, source)[:, -1])
            # Padding is no word: a model must not be able to end a sentence by writing it.
            logits[:, module.config.pad_id] = -torch.inf
            step = torch.where(done, torch.full_like(done, end, dtype=torch.long), logits.argmax(-1))
            done |= step == end
            target = torch.cat([target, step[:, None]], dim=1)
    rows = target.tolist()
    return [row[: row.index(end, begun)] if end in row[begun:] else row for row in rows], done.tolist()
