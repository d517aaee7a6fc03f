"""Downsampled maps of all heads of a run, site by site, and their correlation with one head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from model.attention.downsample import thumbnails
from model.trace.parallel_sites import each_site
from model.trace.site import Site
from model.trace.trace import Trace


def trace_thumbnails(
    trace: Trace, size: int = 64, how: str = "max", sites: Sequence[Site] | None = None
) -> Iterator[tuple[Site, Tensor]]:
    """(site, float32 [h, R, C]) of every sub-layer, or of `sites`, in order; ticks "pictures" and can be stopped."""
    chosen = trace.sites if sites is None else tuple(sites)
    return each_site(lambda site, told: thumbnails(trace.record(site), size, how, told), trace, chosen, "pictures")


def comparable(one: Site, other: Site, shapes: Mapping[Site, tuple[int, ...]]) -> bool:
    """Whether cell (R, C) of one site's thumbnails is about the same tokens as that of the other's."""
    same_sides = (one.query_side, one.key_side) == (other.query_side, other.key_side)
    return same_sides and tuple(shapes[one][1:]) == tuple(shapes[other][1:])


def head_similarity(
    means: Mapping[Site, Tensor], allowed: Mapping[Site, Tensor], site: Site, head: int
) -> dict[tuple[Site, int], float]:
    """Correlation of every head with one head: (site, head) -> r, the heads between other tokens left out.

    means: `pooled` with "mean", [h, R, C] a site; where a bin is one position they are the exact weights. allowed: bool
    [R, C] a site, `allowed_bins`. r is Pearson's correlation over the bins that either of the two may attend:

        r = Σ (x − x̄)(y − ȳ) / √(Σ (x − x̄)² · Σ (y − ȳ)²)

    NaN where one of the two is the same everywhere, to the precision of float32. Computed in float64.
    """
    shapes = {other: tuple(values.shape) for other, values in means.items()}
    found = {}
    for other, values in means.items():
        if comparable(site, other, shapes):
            used = allowed[site] | allowed[other]
            each = _correlations(means[site][head][used].double(), values[:, used].double())
            found |= {(other, h): r for h, r in enumerate(each)}
    return found


def _correlations(x: Tensor, y: Tensor) -> list[float]:
    """r of [cells] with each of [h, cells]; NaN where either does not vary by more than it was rounded."""
    (flat_x, x), (flat_y, y) = ((_flat(values), values - values.mean(-1, keepdim=True)) for values in (x, y))
    r = (y @ x) / (y.square().sum(-1) * x.square().sum()).sqrt()
    return r.masked_fill(flat_x | flat_y, torch.nan).tolist()


def _flat(values: Tensor) -> Tensor:
    """bool [...]: whether the last axis holds one number, but for the rounding of float32."""
    return (
        values.std(-1, correction=0) <= 1e-5 * values.abs().amax(-1) if values.shape[-1] else values.new_ones(()).bool()
    )
