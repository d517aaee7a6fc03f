"""Gradient × attention: what the number would lose, to first order, were the weight taken away and its row not made up again.

dL/dA_ij = g_i · v_j with g_i = ∂L/∂z_i, from one backward pass; the sum over a head is Σ_i g_i · z_i.
"""

from __future__ import annotations

from torch import Tensor

from model.attribution.method import Method, Need, Parts, Run, products_with_values, weights
from model.trace.site import Site


def _work(run: Run) -> Parts:
    def cells(site: Site, head: int, rows: slice) -> Tensor:
        record, g = run.trace.record(site), run.gradients.contexts[str(site)][head][rows]
        return weights(record, head, rows) * products_with_values(record, head, g, rows)

    return Parts(cells)


METHOD = Method(
    name="gradient_attention",
    formula=r"A_{ij}\,(g_i \cdot v_j),\quad g_i = \partial L / \partial z_i",
    source="Barkan et al. 2021, section 3",
    needs=frozenset({Need.METRIC, Need.GRADIENTS}),
    signed=True,
    work=_work,
)
