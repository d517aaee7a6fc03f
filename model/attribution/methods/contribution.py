"""Contribution: how much nearer a token's vector brings what the sub-layer puts out (Ferrando et al. 2022, ALTI, section 3.1).

T_ij = A_ij v_j W_O is what key j adds to row i of one head, and y_i what the row comes to with its residual stream:

    c_ij = max(0, ‖y_i‖ − ‖y_i − T_ij‖),        ‖y_i − T_ij‖² = ‖y_i‖² − 2 y_i · T_ij + ‖T_ij‖²

in the L2 norm, before a LayerNorm is applied to y_i.
"""

from __future__ import annotations

from torch import Tensor

from model.attribution.method import Method, Need, Parts, Run, products_with_values, weights
from model.attribution.methods import value_norm
from model.residual.around import sum_after
from model.trace.site import Site


def _work(run: Run) -> Parts:
    lengths = value_norm.METHOD.work(run).cells

    def cells(site: Site, head: int, rows: slice) -> Tensor:
        record, W_O = run.trace.record(site), run.projection(site)[head]
        y = sum_after(run.trace, site)[rows].double()
        A = weights(record, head, rows)
        along = A * products_with_values(record, head, y @ W_O.T, rows)
        own = (y * y).sum(-1, keepdim=True)
        apart = (own - 2 * along + lengths(site, head, rows).square()).clamp(min=0).sqrt()
        return (own.sqrt() - apart).clamp(min=0).masked_fill(A == 0, 0)

    return Parts(cells)


METHOD = Method(
    name="contribution",
    formula=r"\max(0, \lVert y_i \rVert - \lVert y_i - A_{ij}\, v_j W_O \rVert)",
    source="Ferrando et al. 2022, section 3.1",
    needs=frozenset({Need.PROJECTION}),
    signed=False,
    work=_work,
)
