"""Knock-out, to first order: what the number gains where the edge is hidden and its row shares the rest.

Hiding key j changes the context exactly by Δz_i = −A_ij/(1 − A_ij) (v_j − z_i), and the number by about g_i · Δz_i, which is
−dS_ij/(1 − A_ij) with the gradient of a score dS_ij = A_ij (g_i · v_j − g_i · z_i) (Dao et al. 2022, FlashAttention, appendix B).
Of a row that has no other key nothing is left: Δz_i = −z_i.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.attribution.method import Method, Need, Parts, Run, products_with_values, weights
from model.trace.site import Site

_ALL = 1e-9  # of a row that the other keys have less of


def _work(run: Run) -> Parts:
    def cells(site: Site, head: int, rows: slice) -> Tensor:
        record, g = run.trace.record(site), run.gradients.contexts[str(site)][head][rows].double()
        A = weights(record, head, rows)
        z = record.times_values(head, A, torch.arange(record.queries)[rows])
        own = (g * z).sum(-1, keepdim=True)
        rest = 1 - A
        some = -A / rest.clamp(min=_ALL) * (products_with_values(record, head, g, rows) - own)
        return torch.where(rest > _ALL, some, -own).masked_fill(A == 0, 0)

    return Parts(cells)


METHOD = Method(
    name="knockout",
    formula=r"-\frac{A_{ij}}{1 - A_{ij}}\; g_i \cdot (v_j - z_i)",
    source="Dao et al. 2022, appendix B; Michel et al. 2019",
    needs=frozenset({Need.METRIC, Need.GRADIENTS}),
    signed=True,
    work=_work,
)
