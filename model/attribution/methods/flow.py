"""Flow: the most that can pass from each input to one row through all layers at once, weights being capacities
(Abnar & Zuidema 2020, section 3): a maximum flow an input, by scipy, which is why it ends at short texts.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model.attribution.method import Method, Parts, Run, mean_weights
from model.errors import NotInThisModel
from model.jobs.progress import tick

LONGEST = 40
_UNIT = 10**6  # capacities are whole numbers of this part of 1


def _work(run: Run) -> Parts:
    trace = run.trace
    if len(trace.sides) > 1:
        raise NotInThisModel(what="Attention flow", does="has two stacks: rollout follows both")
    (side,) = trace.sides
    n = len(trace.tokens(side))
    means = [mean_weights(trace.record(site)) for site in trace.sites]
    return Parts(tokens={side: flows(means, run.row % n)})


def flows(means: list[Tensor], row: int) -> Tensor:
    """The maximum flow from each input to `row` of the last layer, in layers ½(A + I): float64 [n]; means: [n, n] each."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    n = means[0].shape[0]
    starts, ends, capacities = [], [], []
    for layer, mean in enumerate(means):
        mixed = np.rint(0.5 * (mean + torch.eye(n, dtype=torch.float64)).numpy() * _UNIT).astype(np.int32)
        i, j = mixed.nonzero()
        starts.append(layer * n + j)
        ends.append((layer + 1) * n + i)
        capacities.append(mixed[i, j])
    size = (len(means) + 1) * n
    graph = csr_array((np.concatenate(capacities), (np.concatenate(starts), np.concatenate(ends))), (size, size))
    found = []
    for token in range(n):
        tick("runs", token / n)
        found.append(maximum_flow(graph, token, len(means) * n + row).flow_value / _UNIT)
    return torch.tensor(found, dtype=torch.float64)


METHOD = Method(
    name="flow",
    formula=r"\max\text{-flow}(j \to i),\ \tfrac12 (\bar A_l + I)",
    source="Abnar & Zuidema 2020, section 3",
    needs=frozenset(),
    signed=False,
    work=_work,
    longest=LONGEST,
)
