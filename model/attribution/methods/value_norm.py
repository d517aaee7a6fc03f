"""Value norm: how long the vector is that a token adds, and not how bright its weight (Kobayashi et al. 2020, section 3.1).

A key that a head looks at where it has nothing to say has a large weight and a short value; such a cell fades.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.attribution.method import Method, Need, Parts, Run, weights
from model.trace.site import Site


def _work(run: Run) -> Parts:
    def cells(site: Site, head: int, rows: slice) -> Tensor:
        record, W_O = run.trace.record(site), run.projection(site)[head]
        if record.distance is None:
            lengths = (record.head("v", head, torch.float64) @ W_O).norm(dim=-1)
            return weights(record, head, rows) * lengths
        found = []
        for i in range(*rows.indices(record.queries)):
            one_key_each = torch.eye(record.keys, dtype=torch.float64)
            values = torch.cat(
                [record.times_values(head, one_key_each[j : j + 1], slice(i, i + 1)) for j in range(record.keys)]
            )
            found.append((values @ W_O).norm(dim=-1))
        return weights(record, head, rows) * torch.stack(found)

    return Parts(cells)


METHOD = Method(
    name="value_norm",
    formula=r"A_{ij}\,\lVert v_j W_O \rVert",
    source="Kobayashi et al. 2020, section 3.1",
    needs=frozenset({Need.PROJECTION}),
    signed=False,
    work=_work,
)
