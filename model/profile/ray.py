"""Profiling a corpus on a Ray cluster (`model.jobs.ray_cluster`): texts go out, rows come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from model.errors import HeadlightError, ProfileStopped
from model.jobs import ray_cluster
from model.jobs.part_files import CHUNK, chunks
from model.profile import table
from model.profile.part_files import Parts
from model.profile.progress import Progress
from model.profile.schema import SOURCE, TEXT

if TYPE_CHECKING:
    from model.profile.texts import Texts

_BATCH = 16  # texts of one task
_WINDOW = 256 * CHUNK  # texts that are handed to Ray at once


class Measure:
    """What a worker holds: the model, opened once, and the map."""

    def __init__(self, given: str, weights_hash: str, options: Mapping[str, str]):
        from model import open_model

        self.model, self.options = open_model(given), dict(options)
        if self.model.weights_hash != weights_hash:
            raise HeadlightError(reason=f"the weights of {given} are others on a machine of the cluster")

    def __call__(self, batch: pa.Table) -> pa.Table:
        texts = zip(batch[TEXT].to_pylist(), batch[SOURCE].to_pylist(), strict=True)
        return table.measured(self.model, texts, self.options)


def measure(
    address: str, model: tuple[str, str], options: Mapping[str, str], texts: Texts, work: Parts, progress: Progress,
    stopped: Callable[[], bool],
) -> None:  # fmt: skip
    """Measure what no part answers for yet. model: (what `open_model` takes, weights hash). Raises NeedsRay, RayFailed."""
    given = ray_cluster.everywhere(model[0])
    with ray_cluster.connected(address) as ray:
        stream = iter(texts)
        for first in range(0, texts.count, _WINDOW):
            here = zip(range(first, texts.count), islice(stream, _WINDOW), strict=False)
            found = {chunk: [work.read(chunk)] for chunk in _chunks(first, texts.count)}
            answered = set().union(*(table.done(rows) for (rows,) in found.values()))
            for (rows,) in found.values():
                progress.begin(rows)
            items = [{TEXT: index, SOURCE: text} for index, text in here if index not in answered]
            if items:
                how = (given, model[1], dict(options))
                saved = ray_cluster.Gathered(work.write, found, TEXT, lambda text: text // CHUNK)
                _window(ray, items, how, saved, progress, stopped)


def _chunks(first: int, count: int) -> list[int]:
    return [chunk for chunk, here in chunks(count) if first <= here.start < first + _WINDOW]


def _window(
    ray: Any,
    items: list[dict],
    how: tuple[str, str, dict],
    saved: ray_cluster.Gathered,
    progress: Progress,
    stopped: Callable[[], bool],
) -> None:
    try:
        for batch in ray_cluster.mapped(ray, items, Measure, how, _BATCH):
            saved.add(batch.cast(table.PART))
            progress.add(batch)
            if stopped():
                raise ProfileStopped(got=progress.done, allowed=progress.count)
    finally:
        saved.write()
