"""Gradient × input: ∂L/∂x · x of each token's embedding, to first order what the number owes it (Shrikumar et al. 2017)."""

from __future__ import annotations

from model.attribution.method import Method, Need, Parts, Run


def _work(run: Run) -> Parts:
    pairs = run.gradients.inputs.items()
    return Parts(tokens={side: (x.double() * grad.double()).sum(-1) for side, (x, grad) in pairs})


METHOD = Method(
    name="gradient_input",
    formula=r"x_j \cdot \partial L / \partial x_j",
    source="Shrikumar et al. 2017",
    needs=frozenset({Need.METRIC, Need.GRADIENTS}),
    signed=True,
    work=_work,
)
