"""Profiling a corpus on a Ray cluster, through Ray Data alone: from_items → map_batches → iter_batches, and parts written here.

Ray says which machine does what, when, and once more where one is lost. The machines need Headlight and the model at the
same paths; the texts travel to them and the rows back, so that only this process writes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from model.errors import HeadlightError, NeedsRay, ProfileStopped, RayFailed
from model.jobs.part_files import CHUNK, chunks
from model.profile import table
from model.profile.part_files import Parts
from model.profile.progress import SAVED, Progress
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
    given = str(Path(model[0]).resolve()) if Path(model[0]).exists() else model[0]
    with _cluster(address) as ray:
        stream = iter(texts)
        for first in range(0, texts.count, _WINDOW):
            here = zip(range(first, texts.count), islice(stream, _WINDOW), strict=False)
            found = {chunk: [work.read(chunk)] for chunk in _chunks(first, texts.count)}
            answered = set().union(*(table.done(rows) for (rows,) in found.values()))
            for (rows,) in found.values():
                progress.begin(rows)
            items = [{TEXT: index, SOURCE: text} for index, text in here if index not in answered]
            if items:
                _window(ray, items, (given, model[1], dict(options)), _Saved(work, found), progress, stopped)


def _chunks(first: int, count: int) -> list[int]:
    return [chunk for chunk, here in chunks(count) if first <= here.start < first + _WINDOW]


def _window(
    ray: Any,
    items: list[dict],
    how: tuple[str, str, dict],
    saved: _Saved,
    progress: Progress,
    stopped: Callable[[], bool],
) -> None:
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    blocks = -(-len(items) // _BATCH)
    rows = ray.data.from_items(items, override_num_blocks=min(blocks, 8 * cpus)).map_batches(
        Measure, batch_size=_BATCH, batch_format="pyarrow", fn_constructor_args=how, num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(cpus, blocks)),
    )  # fmt: skip
    try:
        for batch in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
            saved.add(batch.cast(table.PART))
            progress.add(batch)
            if stopped():
                raise ProfileStopped(got=progress.done, allowed=progress.count)
    finally:
        saved.write()


class _Saved:
    """Rows that come in any order, to the parts that they belong to; on disk every few seconds."""

    def __init__(self, work: Parts, found: Mapping[int, list[pa.Table]]):
        self.work, self.found = work, defaultdict(list, found)
        self.changed: set[int] = set()
        self.last = time.monotonic()

    def add(self, rows: pa.Table) -> None:
        chunks = pa.array([text // CHUNK for text in rows[TEXT].to_pylist()])
        for chunk in chunks.unique().to_pylist():
            self.found[chunk].append(rows.filter(pa.compute.equal(chunks, chunk)))
            self.changed.add(chunk)
        if time.monotonic() > self.last + SAVED:
            self.write()

    def write(self) -> None:
        for chunk in sorted(self.changed):
            self.work.write(chunk, pa.concat_tables(self.found[chunk]))
        self.changed, self.last = set(), time.monotonic()


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Ray, connected: to the cluster of whoever calls this, else to the one at `address`, until the block ends."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise NeedsRay() from error
    ours = not ray.is_initialized()
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        if ours:
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray
    except HeadlightError:
        raise
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RayFailed(path=address, reason=first[:200].rstrip(".")) from error
    finally:
        if ours and ray.is_initialized():
            ray.shutdown()
