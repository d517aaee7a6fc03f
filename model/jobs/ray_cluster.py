"""Work on many inputs on a Ray cluster, through Ray Data alone: from_items → map_batches → iter_batches.

Ray says which machine does what, when, and once more where one is lost. The machines need Headlight and the model at the
same paths; the inputs travel to them and the rows back, so that only the process that asks writes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from model.errors import HeadlightError, NeedsRay, RayFailed

SAVED = 5.0  # seconds of work that a kill may cost


def everywhere(model: str) -> str:
    """What `open_model` takes on every machine: a path from the root, or a name."""
    return str(Path(model).resolve()) if Path(model).exists() else model


def mapped(
    ray: Any, items: Sequence[dict[str, Any]], worker: type, how: tuple[Any, ...], batch: int
) -> Iterator[pa.Table]:
    """The rows of every input, in any order. worker: made once on each core with the arguments `how`, and then called with
    tables of `batch` items; what it returns is a table."""
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    blocks = -(-len(items) // batch)
    rows = ray.data.from_items(list(items), override_num_blocks=min(blocks, 8 * cpus)).map_batches(
        worker, batch_size=batch, batch_format="pyarrow", fn_constructor_args=how, num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(cpus, blocks)),
    )  # fmt: skip
    yield from rows.iter_batches(batch_size=None, batch_format="pyarrow")


class Gathered:
    """Rows that come in any order, to the parts that they belong to; on disk every few seconds."""

    def __init__(
        self, write: Callable[[int, pa.Table], None], found: Mapping[int, list[pa.Table]], key: str,
        chunk_of: Callable[[int], int],
    ):  # fmt: skip
        """write: puts the rows of a part in its place. found: what the parts hold already. key: the column that counts the
        inputs, of which `chunk_of` tells the part."""
        self.put, self.found, self.key, self.chunk_of = write, defaultdict(list, found), key, chunk_of
        self.changed: set[int] = set()
        self.last = time.monotonic()

    def add(self, rows: pa.Table) -> None:
        chunks = pa.array([self.chunk_of(number) for number in rows[self.key].to_pylist()])
        for chunk in chunks.unique().to_pylist():
            self.found[chunk].append(rows.filter(pc.equal(chunks, chunk)))
            self.changed.add(chunk)
        if time.monotonic() > self.last + SAVED:
            self.write()

    def write(self) -> None:
        for chunk in sorted(self.changed):
            self.put(chunk, pa.concat_tables(self.found[chunk]))
        self.changed, self.last = set(), time.monotonic()


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
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
