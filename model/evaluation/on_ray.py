"""Evaluating a file on a Ray cluster (`model.jobs.ray_cluster`): lines travel to the machines, scored rows back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from model.data_files.read import Line
from model.errors import HeadlightError
from model.evaluation.scored import SCHEMA
from model.jobs import ray_cluster
from model.jobs.part_files import CHUNK
from model.jobs.progress import tick

if TYPE_CHECKING:
    from model.evaluation.scored import Keep

_BATCH = 32  # lines of one task
_WINDOW = 64 * CHUNK  # lines that are handed to Ray at once


class Score:
    """What a worker holds: the model, opened once, and the scorer of it."""

    def __init__(self, given: str, weights_hash: str, language: str | None, write: bool):
        from model import open_model
        from model.evaluation.by_model import scorer_of

        model = open_model(given)
        if model.weights_hash != weights_hash:
            raise HeadlightError(reason=f"the weights of {given} are others on a machine of the cluster")
        self.scorer = scorer_of(model, language, write)

    def __call__(self, batch: pa.Table) -> pa.Table:
        from model.evaluation.score_lines import score_lines
        from model.evaluation.scored import table

        lines = [Line(row["number"], row["source"], row["target"]) for row in batch.to_pylist()]
        return table(one for group in score_lines(self.scorer, lines) for one in group)


def score(
    address: str, model: tuple[str, str], how: Mapping[str, Any], lines: Iterable[Line], keep: Keep,
    progress: Callable[[int], None],
) -> None:  # fmt: skip
    """Score what `keep` has no answer for yet, and keep it there.

    model: (what `open_model` takes, weights hash); how: language and write of `evaluate`; progress(done). Ticks "evaluating",
    where it can be stopped. Raises NeedsRay, RayFailed.
    """
    worker = (ray_cluster.everywhere(model[0]), model[1], how["language"], how["write"])
    with ray_cluster.connected(address) as ray:
        stream, first, done = iter(lines), 0, 0
        while window := list(islice(stream, _WINDOW)):
            chunk_of = {line.number: first + at // CHUNK for at, line in enumerate(window)}
            found = {chunk: [keep.read(chunk)] for chunk in set(chunk_of.values())}
            answered = {number for (rows,) in found.values() for number in rows["line"].to_pylist()}
            left = [line for line in window if line.number not in answered]
            done += len(window) - len(left)
            progress(done)
            items = [{"number": line.number, "source": line.source, "target": line.target} for line in left]
            gathered = ray_cluster.Gathered(keep.write, found, "line", chunk_of.__getitem__)
            try:
                for rows in ray_cluster.mapped(ray, items, Score, worker, _BATCH) if items else ():
                    gathered.add(rows.cast(SCHEMA))
                    done += rows.num_rows
                    progress(done)
                    tick("evaluating", None)
            finally:
                gathered.write()
            first += _WINDOW // CHUNK
