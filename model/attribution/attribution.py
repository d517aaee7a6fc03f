"""`Attribution`: what a method says of a run: of every edge of every head, of the heads, and of the tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model.attribution.heads_off import every_head
from model.attribution.method import Method, Parts, Run
from model.attribution.metric import Metric, metric_of
from model.attribution.registry import METHODS
from model.errors import NotInThisModel, TextTooLong, UnknownOption
from model.jobs.progress import tick
from model.trace.site import Site
from model.trace.trace import Trace

if TYPE_CHECKING:
    from pandas import DataFrame

_ROWS = 256


@dataclass(frozen=True, eq=False)
class Attribution:
    """method, run and what came of it. metric: the number that is explained, None of a method that explains none."""

    method: Method
    trace: Trace
    metric: Metric | None
    parts: Parts

    @property
    def residue(self) -> float | None:
        """What the parts lack to the number that they should add up to; None where they should not."""
        return self.parts.residue

    def weights(
        self, site: Site | str, head: int, rows: slice | int | None = None, columns: slice | int | None = None
    ) -> Tensor:
        """Float32 [query, key] of one head, or the tile `rows` × `columns`; masked cells are 0.

        Raises NotInThisModel, OutOfRange.
        """
        if self.parts.cells is None:
            raise NotInThisModel(what=f"“{self.method.name}” of edges", does="is asked of tokens: see tokens()")
        record = self.trace.record(site)
        head = record.check_head(head)
        across = slice(columns, columns + 1) if isinstance(columns, int) else columns or slice(None)
        down = slice(rows, rows + 1) if isinstance(rows, int) else rows or slice(None)
        start, stop, _ = down.indices(record.queries)
        blocks = (slice(at, min(at + _ROWS, stop)) for at in range(start, stop, _ROWS))
        return torch.cat([self.parts.cells(record.site, head, block)[:, across] for block in blocks]).float()

    def heads(self) -> DataFrame:
        """One row a head: site, head, effect (the sum over its cells; a mean row's of a method without sign)."""
        import pandas as pd

        rows, every = [], every_head(self.trace)
        for done, (site, head) in enumerate(every):
            tick("heads", done / len(every))
            rows.append({"site": str(site), "head": head, "effect": self._of_head(site, head)})
        return pd.DataFrame(rows)

    def _of_head(self, site: Site, head: int) -> float:
        if self.parts.heads is not None:
            return self.parts.heads(site, head)
        total = float(self.weights(site, head).double().sum())
        return total if self.method.signed else total / self.trace.record(site).queries

    def tokens(self, side: str | None = None) -> Tensor:
        """Float64 [n]: of each token of a side (default: the first). Raises NotInThisModel, UnknownOption."""
        found: Mapping[str, Tensor] = self.parts.tokens
        if not found:
            raise NotInThisModel(what=f"“{self.method.name}” of tokens", does="is asked of edges: see weights()")
        side = next(iter(found)) if side is None else side
        if side not in found:
            raise UnknownOption(what="Side", got=side, allowed=", ".join(found))
        return found[side]


def attribute(
    model: Any, trace: Trace, method: str = "knockout", position: int | None = None, token: int | str | None = None,
    against: int | str | None = None,
) -> Attribution:  # fmt: skip
    """What `method`, one of `registry.METHODS`, says of a recorded run; model: that made it, None of a saved run.

    position, token, against: see `metric_of`. Raises UnknownOption, NotInThisModel for what the model has not, TextTooLong beyond
    the length that the method is made for, and as `metric_of`.
    """
    found = _method(method, trace)
    try:
        metric = metric_of(trace, position, token, against)
    except NotInThisModel:
        if token is not None or against is not None:
            raise
        metric = None
    return Attribution(found, trace, metric, found.work(Run(trace, model, metric)))


def explain(model: Any, trace: Trace, method: str, metric: Metric) -> Attribution:
    """`attribute` of a number that is known already."""
    found = _method(method, trace)
    return Attribution(found, trace, metric, found.work(Run(trace, model, metric)))


def _method(name: str, trace: Trace) -> Method:
    """The method, where it is made for a run of this length. Raises UnknownOption, TextTooLong."""
    if name not in METHODS:
        raise UnknownOption(what="Method", got=str(name)[:40], allowed=", ".join(METHODS))
    found, longest = METHODS[name], max(len(trace.tokens(side)) for side in trace.sides)
    if found.longest is not None and longest > found.longest:
        raise TextTooLong(got=longest, allowed=found.longest)
    return found


def attribute_text(
    model: Any, text: str, method: str, target: str | None, position: int | None = None, token: int | str | None = None,
    against: int | str | None = None, **given: Any,
) -> Attribution:  # fmt: skip
    """`attribute` of the run of `text`; given: what `model.trace` takes besides."""
    return attribute(model, model.trace(text, target, **given), method, position, token, against)
