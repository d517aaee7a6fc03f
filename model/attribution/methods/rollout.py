"""Rollout: how much of each input reaches each row through all layers below, by multiplying weights (Abnar & Zuidema 2020,
section 3). A layer is ½(Ā + I), Ā the mean of its heads; a decoder's cross-attention mixes in what reached the encoder's rows.

It takes every head for alike and every value for its token, and is no statement about what a head does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.attribution.method import Method, Parts, Run, mean_weights
from model.trace.site import Site
from model.trace.trace import Trace

LONGEST = 1024


def _work(run: Run) -> Parts:
    reached, layers = rolled_out(run.trace)
    side = run.trace.predicting_side
    tokens = {source: matrix[run.row] for source, matrix in reached[side].items()}

    def cells(site: Site, _head: int, rows: slice) -> Tensor:
        return layers[site][rows]

    return Parts(cells, tokens)


def rolled_out(trace: Trace) -> tuple[dict[str, dict[str, Tensor]], dict[Site, Tensor]]:
    """(side -> source side -> [rows, tokens] that the last layer has, site -> the same after it of its keys' side).

    Rows sum to 1 over all sources together, where rows of weights do.
    """
    eye = {side: torch.eye(len(trace.tokens(side)), dtype=torch.float64) for side in trace.sides}
    reached: dict[str, dict[str, Tensor]] = {side: {side: own} for side, own in eye.items()}
    layers: dict[Site, Tensor] = {}
    for site in trace.sites:
        record, mine = trace.record(site), reached[site.query_side]
        mean = mean_weights(record)
        below = reached[site.key_side]
        mixed = {source: 0.5 * matrix for source, matrix in mine.items()}
        for source, matrix in below.items():
            mixed[source] = mixed.get(source, 0) + 0.5 * (mean @ matrix)
        reached[site.query_side] = mixed
        layers[site] = mixed[site.key_side if site.key_side in mixed else site.query_side]
    return reached, layers


METHOD = Method(
    name="rollout",
    formula=r"\prod_l \tfrac12 (\bar A_l + I)",
    source="Abnar & Zuidema 2020, section 3",
    needs=frozenset(),
    signed=False,
    work=_work,
    longest=LONGEST,
)
