"""One backward pass over a run: ∂L/∂z of every head's context and ∂L/∂x of every token's embedding.

The run is made anew with the ids of the trace, its attention as it ran; no parameter is touched and none keeps a gradient. What
is held is what PyTorch keeps of a forward, O(layers · n · d), and goes when the gradients are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from model.attribution.metric import Metric
from model.jobs.device import host
from model.trace.trace import Trace


@runtime_checkable
class Model(Protocol):
    """What is asked of an opened model (`model.checkpoints.again`)."""

    @property
    def lock(self) -> AbstractContextManager: ...

    def with_graph(
        self, trace: Trace, seen: Callable[[str, Tensor], Tensor], embedded: Callable[[Tensor], Tensor]
    ) -> Mapping[str, Tensor]: ...

    def again(self, trace: Trace, edits: list[str]) -> Trace: ...


@dataclass(frozen=True, eq=False)
class Gradients:
    """value: of the metric. contexts: by sub-layer, ∂L/∂z [h, q, d_v]; inputs: by side, (embedding, ∂L/∂embedding), [n, d] each.

    In the precision of the model.
    """

    value: float
    contexts: Mapping[str, Tensor]
    inputs: Mapping[str, tuple[Tensor, Tensor]]


def gradients(model: Model, trace: Trace, metric: Metric, share: float = 1.0) -> Gradients:
    """∂L/∂· of the run of `trace`, with embeddings times `share`. Raises NotInThisModel."""
    contexts: dict[str, Tensor] = {}
    embeddings: list[tuple[Tensor, Tensor]] = []

    def seen(site: str, context: Tensor) -> Tensor:
        contexts[site] = context
        return context

    def embedded(embedding: Tensor) -> Tensor:
        leaf = (embedding.detach() * share).requires_grad_()
        embeddings.append((embedding.detach(), leaf))
        return leaf

    with model.lock, torch.enable_grad():
        number = metric.of(model.with_graph(trace, seen, embedded)[metric.name])
        wanted = [*contexts.values(), *(leaf for _, leaf in embeddings)]
        found = torch.autograd.grad(number, wanted, allow_unused=True)
    grads = [torch.zeros_like(each) if grad is None else grad for each, grad in zip(wanted, found, strict=True)]
    grads = [host(grad[0]) for grad in grads]
    of_contexts = dict(zip(contexts, grads, strict=False))
    of_inputs = zip(trace.sides, embeddings, grads[len(contexts) :], strict=False)
    inputs = {side: (host(embedding[0]), grad) for side, (embedding, _), grad in of_inputs}
    return Gradients(float(number.detach()), of_contexts, inputs)
