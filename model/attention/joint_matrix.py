"""An encoder–decoder's three attentions as one matrix over [encoder tokens ; decoder tokens].

Rows are queries, columns keys: the encoder's self-attention upper left, cross-attention lower left, the decoder's
self-attention lower right. Upper right there is nothing: no encoder token ever attends a decoder token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention.downsample import allowed_bins, bin_lengths, block_size, pooled
from model.trace.site import Site
from model.trace.trace import Trace

KINDS = ("encoder", "cross", "decoder")
# Tokens of both sides together that are shown one by one; beyond, each side in at most `BINS` blocks.
CELLS, BINS = 192, 96


def kind_of(site: Site) -> str:
    """The block of the joint matrix that a site belongs to."""
    return "cross" if site.kind == "cross" else site.stack


def drawable(trace: Trace) -> bool:
    """Whether the trace has all three attentions, over one list of tokens each side."""
    return {kind_of(site) for site in trace.sites} == set(KINDS) and all(site.sides is None for site in trace.sites)


def heads_of_blocks(
    trace: Trace, selected: tuple[Site, int], others: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, tuple[Site, int]]:
    """kind -> (site, head): the selected head in its own block; in the others `others[kind]`, (layer, head), or else
    the selected head's number in the same layer, as far as there are so many."""
    found = {}
    for kind in KINDS:
        sites = [site for site in trace.sites if kind_of(site) == kind]
        if kind == kind_of(selected[0]):
            found[kind] = selected
            continue
        layer, head = (others or {}).get(kind, (selected[0].layer, selected[1]))
        site = min(sites, key=lambda site: (abs(site.layer - layer), site.layer))
        found[kind] = (site, min(head, trace.record(site).heads - 1))
    return found


@dataclass(frozen=True, eq=False)
class Part:
    """One block: weights [R, C], the largest of each bin where a bin is more than a cell; allowed bool [R, C]; and how
    many tokens a bin has down and across. float64 of single cells, float32 of bins."""

    site: Site
    head: int
    weights: Tensor
    allowed: Tensor
    step: tuple[int, int]


def encoder_decoder_matrix(trace: Trace, heads: Mapping[str, tuple[Site, int]]) -> dict[str, Part]:
    """kind -> its block of the joint matrix; long inputs as the largest weight of each bin."""
    lengths = {side: len(trace.side(side).tokens) for side in ("encoder", "decoder")}
    small = sum(lengths.values()) <= CELLS
    found = {}
    for kind, (site, head) in heads.items():
        record = trace.record(site)
        if small:
            weights, allowed, step = record.weights(head, dtype=torch.float64), record.allowed(), (1, 1)
        else:
            weights, allowed = pooled(record, head, BINS), allowed_bins(record, BINS)
            step = (block_size(record.queries, BINS), block_size(record.keys, BINS))
        found[kind] = Part(site, head, weights, allowed, step)
    return found


def whole(parts: Mapping[str, Part]) -> Tensor:
    """The joint matrix itself, [n + m, n + m] cells or bins; NaN where nothing is ever attended."""
    encoder, cross, decoder = (parts[kind].weights.double() for kind in KINDS)
    n, m = encoder.shape[0], decoder.shape[0]
    never = torch.full((n, m), torch.nan, dtype=torch.float64)
    return torch.cat([torch.cat([encoder, never], 1), torch.cat([cross, decoder], 1)])


def bins(length: int, step: int) -> list[slice]:
    """The tokens of each bin."""
    counts = bin_lengths(length, -(-length // step)).int().tolist()
    starts = range(0, length, step)
    return [slice(start, start + count) for start, count in zip(starts, counts, strict=True)]
