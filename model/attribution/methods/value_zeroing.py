"""Value zeroing: by how much a token's row of the next layer turns where the value of another one is set to zero
(Mohebbi et al. 2023, section 3). A run a key and head: the weights stay, their value is gone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.attribution.method import Method, Need, Parts, Run
from model.errors import NotInThisModel
from model.jobs.progress import tick
from model.residual.around import stream_after
from model.trace.site import Site

LONGEST = 64  # keys, each of which is a run


def _work(run: Run) -> Parts:
    made: dict[tuple[Site, int], Tensor] = {}

    def cells(site: Site, head: int, rows: slice) -> Tensor:
        if (site, head) not in made:
            made[site, head] = _head(run, site, head)
        return made[site, head][rows]

    return Parts(cells)


def _head(run: Run, site: Site, head: int) -> Tensor:
    """1 − cos of every row against the run without a key's value: float64 [q, k]."""
    if run.model is None:
        raise NotInThisModel(what="Value zeroing", does="is a saved run without its weights")
    record, plain = run.trace.record(site), stream_after(run.trace, site).double()
    columns = []
    for key in range(record.keys):
        tick("runs", key / record.keys)
        without = run.model.again(run.trace, [f"hide:{site}.{head}:k{key}:keep"])
        other = stream_after(without, site).double()
        columns.append(1 - torch.nn.functional.cosine_similarity(plain, other, dim=-1))
    found = torch.stack(columns, 1).clamp(min=0)
    return found.masked_fill(~record.allowed(), 0)


METHOD = Method(
    name="value_zeroing",
    formula=r"1 - \cos(x_i,\; x_i^{\,v_j = 0})",
    source="Mohebbi et al. 2023, section 3",
    needs=frozenset({Need.RUNS}),
    signed=False,
    work=_work,
    longest=LONGEST,
)
