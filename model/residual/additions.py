"""Additions to the residual stream by each sub-layer, and their recovery from a library model's layers.

Its record has the stream between layers and what attention put out. What the feed-forward part put out is heard in one
more run (`model.checkpoints.record.mlp_hooks.capture_outputs`), and believed to be the rest only where the sums say so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from model.trace.difference import max_difference
from model.trace.rounding import allowed, unit_roundoff
from model.trace.site import Site
from model.trace.trace import Trace


@dataclass(frozen=True, eq=False)
class Addition:
    """One sub-layer on the residual stream: before [n, d] + added [n, d] = after [n, d], as recorded.

    name: `encoder.0.self`, `decoder.1.ffn`; of a library model also `decoder.1.layer`, the whole layer's change. error: how
    far before + added lies from after at most, over all tokens; None where "added" is after − before by definition, or
    after is unknown. limit: how far they may lie apart (`model.trace.fidelity`).
    """

    name: str
    before: Tensor
    added: Tensor
    error: float | None = None
    limit: float = 0.0

    @property
    def comes_in(self) -> Tensor:
        """‖before‖ of every token: float64 [n]."""
        return self.before.double().norm(dim=-1)

    @property
    def adds(self) -> Tensor:
        """‖added‖ of every token: float64 [n]."""
        return self.added.double().norm(dim=-1)

    @property
    def cosine(self) -> Tensor:
        """cos(before, added) of every token: float64 [n]; 0 where one of them is 0."""
        return functional.cosine_similarity(self.before.double(), self.added.double(), dim=-1)


def by_layer(
    trace: Trace, stack: str, names: Sequence[str], rows: slice, ffn_outputs: Mapping[int, Tensor] | None = None
) -> list[Addition]:
    """A library model's additions; `names` are its streams, bottom up, `ffn_outputs` [n, d] of each layer's feed-forward part.

    Where in + attention + feed-forward is the next stream in every layer but the last, whose stream many models keep after
    their final norm, the layers are told apart; else each layer is one change, its norms included. There, a cross-attention
    behind a self-attention is left out: it reads what that one made of the layer's input, which is not recorded.
    """
    pairs = list(itertools.pairwise(names))
    checked = [_checked(trace, stack, layer, pair, ffn_outputs) for layer, pair in enumerate(pairs)]
    apart = (
        len(pairs) > 1 and all(found is not None for found in checked[:-1]) and (len(pairs) - 1 in (ffn_outputs or {}))
    )
    found: list[Addition] = []
    for layer, (below, above) in enumerate(pairs):
        now = trace.activation(below)[rows].float()
        total = now
        for site in _sites(trace, stack, layer, trace.store.shape(below)):
            if not apart and reads_unrecorded(trace, site):
                continue
            added = trace.record(site).output[rows].float()
            found.append(Addition(str(site), total if apart else now, added))
            total = total + added
        if apart and ffn_outputs is not None:
            error, limit = checked[layer] or (None, 0.0)
            found.append(Addition(f"{stack}.{layer}.ffn", total, ffn_outputs[layer][rows].float(), error, limit))
        elif trace.store.shape(above) == trace.store.shape(below):
            found.append(Addition(f"{stack}.{layer}.layer", now, trace.activation(above)[rows].float() - now))
    return found


def reads_unrecorded(trace: Trace, site: Site) -> bool:
    """Whether another attention of its layer stands before a site, so that the layer's input is not what comes into it."""
    return site.kind == "cross" and Site(site.stack, site.layer, "self") in trace.attention


def _sites(trace: Trace, stack: str, layer: int, shape: tuple[int, ...]) -> list[Site]:
    """The layer's attention sub-layers whose output is recorded and is of the stream's shape."""
    sites = [Site(stack, layer, kind) for kind in ("self", "cross")]
    return [
        site
        for site in sites
        if site in trace.attention and f"{site}.output" in trace.store and trace.store.shape(f"{site}.output") == shape
    ]


def _checked(
    trace: Trace, stack: str, layer: int, pair: tuple[str, str], ffn_outputs: Mapping[int, Tensor] | None
) -> tuple[float, float] | None:
    """max |in + attention + feed-forward − the next stream| over all tokens and its limit, None where that is no rounding."""
    if ffn_outputs is None or layer not in ffn_outputs:
        return None
    before, after = (trace.activation(name) for name in pair)
    sites = _sites(trace, stack, layer, tuple(before.shape))
    if not sites or ffn_outputs[layer].shape != before.shape or after.shape != before.shape:
        return None
    parts = [before, ffn_outputs[layer], *(trace.record(site).output for site in sites)]
    error, limit = max_difference(sum(part.double() for part in parts), after), limit_of(*parts, after)
    return (error, limit) if error <= limit else None


def limit_of(*parts: Tensor) -> float:
    """How far the sum of all but the last may lie from the last, as it was recorded."""
    dtype = max((part.dtype for part in parts), key=unit_roundoff)
    return allowed(max(part.abs().max().item() for part in parts), len(parts) - 1, dtype)
