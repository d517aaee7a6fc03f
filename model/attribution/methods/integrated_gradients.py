"""Integrated gradients: x · the mean of ∂L/∂x on the way from embeddings of zero to those of the text (Sundararajan et al. 2017,
equation 1). The parts add up to L(text) − L(zeros) but for what the steps leave, which is printed.
"""

from __future__ import annotations

from typing import Any

import torch

from model.attribution.gradients import gradients
from model.attribution.method import Method, Need, Parts, Run
from model.jobs.progress import tick

STEPS = 32  # midpoints between zero and the text


def _work(run: Run) -> Parts:
    run.gradients  # noqa: B018 – refuses what has none, before any step
    total: dict[str, Any] = {}
    for step in range(STEPS):
        tick("runs", step / STEPS)
        for side, (x, grad) in gradients(run.model, run.trace, run.metric, (step + 0.5) / STEPS).inputs.items():
            total[side] = total.get(side, 0) + (x.double() * grad.double()).sum(-1) / STEPS
    ends = (
        gradients(run.model, run.trace, run.metric, 1.0).value - gradients(run.model, run.trace, run.metric, 0.0).value
    )
    return Parts(tokens=total, residue=ends - float(torch.cat(list(total.values())).sum()))


METHOD = Method(
    name="integrated_gradients",
    formula=r"x_j \cdot \int_0^1 \frac{\partial L(\alpha x)}{\partial x_j}\, d\alpha",
    source="Sundararajan et al. 2017, equation 1",
    needs=frozenset({Need.METRIC, Need.GRADIENTS, Need.RUNS}),
    signed=True,
    work=_work,
)
