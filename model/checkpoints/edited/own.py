"""Edits of a run of our own Transformer: hook points hand on what an edit makes of them, and no weight is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from model.edits.run_edits import RunEdits
from model.edits.site_edits import SiteEdits
from model.errors.edits import NotEditable
from model.jobs.device import host
from model.trace.record_own import attention_record, point_names
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer.encoder_decoder import Transformer
from model.transformer.hook_points import changed
from model.transformer.masks import RuleMask


@contextmanager
def edited(module: Transformer, edits: RunEdits | None) -> Iterator[None]:
    """Every forward of `module` inside the block is edited. The caller holds the model's lock: a hook is heard by all threads."""
    if not edits:
        yield
        return
    points = {name: module.get_submodule(path) for path, name in point_names(module).items()}
    with ExitStack() as inside:
        for name in edits.activations:
            point = points.get(name)
            if point is None:
                raise NotEditable(got=name, reason="this model has no such activation", allowed=", ".join(points)[:150])
            inside.enter_context(changed({point: partial(edits.activation, name)}))
        for site, here in edits.sites.items():
            inside.enter_context(_edited_site(module, Site.parse(site), here))
        yield


def entering(module: Transformer, name: str) -> str:
    """`encoder.1.stream` by the name of the hook point that it leaves: the stream that enters a layer is what the layer before,
    or the embedding, hands on."""
    stack, _, rest = name.partition(".")
    layer, _, what = rest.partition(".")
    if what != "stream":
        return name
    if layer == "0":
        return f"{stack}.input"
    last = "ffn" if module.config.d_ff else "cross" if stack == "decoder" and module.config.encoder_layers else "self"
    return f"{stack}.{int(layer) - 1}.{last}." + ("norm" if module.config.norm == "post" else "residual")


@contextmanager
def _edited_site(module: Transformer, site: Site, edits: SiteEdits) -> Iterator[None]:
    attention = getattr(getattr(module, site.stack)[site.layer], f"{site.kind}_attention")
    run = _Run(attention, site, edits)
    handle = attention.register_forward_pre_hook(run.masked)
    parts = {getattr(attention, part): partial(run.keep, part) for part in "qkv"}
    try:
        with changed(parts | {attention.context: run.context, attention.lse: run.sums}):
            yield
    finally:
        handle.remove()


class _Run:
    """One attention while it runs: what its scores are made of, until its contexts are there."""

    def __init__(self, attention: nn.Module, site: Site, edits: SiteEdits):
        self.attention, self.site, self.edits = attention, site, edits
        self.mask, self.parts = RuleMask(), {}
        self.edited_sums: list[dict[int, Tensor]] = []

    def masked(self, _module: nn.Module, given: tuple) -> None:
        self.mask = given[2]

    def keep(self, part: str, value: Tensor) -> Tensor:
        self.parts[part] = value
        return value

    def context(self, contexts: Tensor) -> Tensor:
        found = [self.edits.run(self._record(b), context) for b, context in enumerate(contexts)]
        self.edited_sums = [sums for _, sums in found]
        return torch.stack([context for context, _ in found])

    def sums(self, lse: Tensor) -> Tensor:
        lse = lse.clone()
        for b, sums in enumerate(self.edited_sums):
            for head, own in sums.items():
                lse[b, head] = own.to(lse)
        return lse

    def _record(self, b: int):
        store = MemoryStore({f"{self.site}.{part}": host(value[b]) for part, value in self.parts.items()})
        return attention_record(self.attention, self.site, self.mask.example(b), store)
