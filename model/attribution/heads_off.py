"""Every head of a run off, one at a time: by how much the explained number really changes, run by run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from model.attribution.metric import Metric
from model.jobs.progress import tick
from model.trace.site import Site
from model.trace.trace import Trace


def every_head(trace: Trace) -> list[tuple[Site, int]]:
    return [(site, head) for site in trace.sites for head in range(trace.record(site).heads)]


def effects(
    model: Any, trace: Trace, metric: Metric, heads: Sequence[tuple[Site, int]] | None = None, how: str = "zero"
) -> Iterator[tuple[Site, int, float]]:
    """(site, head, metric without it − metric with it), one real run each, as they are done.

    how: "zero", or "mean": the head's mean over this run's positions. Ticks "runs" and can be stopped; what was yielded stays.
    Raises NotEditable, NotInThisModel.
    """
    chosen, plain = every_head(trace) if heads is None else list(heads), metric.value(trace)
    suffix = "" if how == "zero" else f":{how}"
    for done, (site, head) in enumerate(chosen):
        tick("runs", done / len(chosen))
        yield site, head, metric.value(model.again(trace, [f"off:{site}.{head}{suffix}"])) - plain
