"""`Method`: one way to say what an edge is worth, with its formula, source, needs and limits, and the run that it works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from model.attribution.gradients import Gradients, gradients
from model.attribution.metric import Metric
from model.errors import NotInThisModel
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.trace import Trace
from model.transformer.positions import offsets


class Need(Enum):
    """What a method asks of a run besides its record."""

    METRIC = "a number to explain"
    GRADIENTS = "one backward pass"
    PROJECTION = "W_O"
    RUNS = "further runs"


@dataclass(eq=False)
class Run:
    """A recorded run, the model that made it (None of a saved one) and the number to explain; what is asked is made once."""

    trace: Trace
    model: Any
    asked: Metric | None

    @property
    def metric(self) -> Metric:
        if self.asked is None:
            raise NotInThisModel(what="This method", does="says no token and no class to explain")
        return self.asked

    @property
    def row(self) -> int:
        """The row of the last layer that is asked about: the explained position's, else the last."""
        return self.asked.position if self.asked is not None and self.asked.name == "logits" else -1

    @cached_property
    def gradients(self) -> Gradients:
        if self.model is None:
            raise NotInThisModel(what="A backward pass", does="is a saved run without its weights")
        return gradients(self.model, self.trace, self.metric)

    def projection(self, site: Site) -> Tensor:
        """W_O as the part that each head passes through: float64 [h, d_v, d]. Raises NotInThisModel."""
        matrix = self.trace.parameter(site, "W_O")
        if matrix is None:
            raise NotInThisModel(what="This method", does=f"has no output projection that is one matrix in {site}")
        record = self.trace.record(site)
        return matrix.double().reshape(record.heads, record.d_v, -1)


Cells = Callable[[Site, int, slice], Tensor]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a method found. cells: (site, head, rows) -> whole rows, float64 [r, k]; tokens: by side [n]; heads: (site, head) ->
    its effect, the sum of its cells where it is None. residue: what the parts lack to the number that they add up to."""

    cells: Cells | None = None
    tokens: Mapping[str, Tensor] = field(default_factory=dict)
    heads: Callable[[Site, int], float] | None = None
    residue: float | None = None


@dataclass(frozen=True)
class Method:
    """name: as `attribute` takes it. formula: LaTeX, in the symbols of the code; source: the paper. signed: whether cells have a
    sign. longest: tokens of a side up to which it is made, None for any number. work: what it does."""

    name: str
    formula: str
    source: str
    needs: frozenset[Need]
    signed: bool
    work: Callable[[Run], Parts]
    longest: int | None = None


def products_with_values(record: AttentionRecord, head: int, vectors: Tensor, rows: slice) -> Tensor:
    """vector_i · v_j of one head's values, those of Shaw's offsets added: float64 [r, k]; vectors: [r, d_v]."""
    vectors = vectors.double()
    products = vectors @ record.head("v", head, torch.float64).T
    if record.distance is not None:
        table = offsets(record.queries, record.keys, record.distance, rows)
        a_v = record.store[f"{record.site}.relative_values"].double()
        products = products + (vectors @ a_v.T).gather(1, table)
    return products


def weights(record: AttentionRecord, head: int, rows: slice) -> Tensor:
    """The weights of whole rows: float64 [r, k]."""
    return record.weights(head, rows, dtype=torch.float64)


def mean_weights(record: AttentionRecord) -> Tensor:
    """The mean of the heads' weights: float64 [q, k]."""
    return torch.stack([weights(record, head, slice(None)) for head in range(record.heads)]).mean(0)
