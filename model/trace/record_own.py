"""Recording a run of our own Transformer: one forward under `run_with_hooks`, its hook points named as in a `Trace`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.jobs.device import host
from model.trace.attention_record import AttentionRecord
from model.trace.site import Site
from model.trace.tensors import MemoryStore, Store
from model.transformer.encoder_decoder import Transformer
from model.transformer.hook_points import HookPoint, run_with_hooks
from model.transformer.masks import RuleMask

if TYPE_CHECKING:
    from model.edits.site_edits import SiteEdits
    from model.trace.trace import Trace

KINDS = ("self", "cross", "ffn")  # the sub-layers of a layer, in the order of the computation
# Module paths on the left, names of the record on the right; the first match applies.
_NAMES = (
    (re.compile(r"^source\.encoding$"), "encoder.positions"),
    (re.compile(r"^target\.encoding$"), "decoder.positions"),
    (re.compile(r"^source\.(\w+)$"), r"encoder.\1"),
    (re.compile(r"^target\.(\w+)$"), r"decoder.\1"),
    (re.compile(r"^(encoder|decoder)\.(\d+)\.(self|cross)_attention\.(\w+)$"), r"\1.\2.\3.\4"),
    (re.compile(r"^(encoder|decoder)\.(\d+)\.(self|cross|ffn)_add\.(\w+)$"), r"\1.\2.\3.\4"),
    (re.compile(r"^memory$"), "encoder.output"),
    (re.compile(r"^final$"), "decoder.output"),
)


def ids_of(trace: Trace) -> tuple[Tensor | None, Tensor | None]:
    """Source ids [n] and target ids [m] of a run of ours, as `record_run` takes them; None of a side that it has not."""
    given = (trace.token_ids(side) if side in trace.sides else None for side in ("encoder", "decoder"))
    source, target = (None if ids is None else torch.tensor(ids) for ids in given)
    return source, target


def record_run(
    module: Transformer, source: Tensor | None, target: Tensor | None, edits: Mapping[str, SiteEdits] | None = None
) -> tuple[MemoryStore, dict[Site, AttentionRecord]]:
    """Run source ids [n] and target ids [m], of which an encoder or a decoder alone has one, once in evaluation mode, and
    keep the activations at every hook point. edits: what is changed in this run, by sub-layer; whoever calls changes it."""
    if module.training:
        raise ValueError("the model is in training mode, where dropout changes every weight: call eval() first")
    batch = [None if ids is None else ids[None] for ids in (source, target)]
    with torch.no_grad(), run_with_hooks(module) as activations:
        module(*batch)
    tensors = {_rename(path): value[0] for path, value in activations.items()}
    tensors |= {f"parameters/{name}": value for name, value in attention_parameters(module).items()}
    masks = module.masks(*batch)
    store = MemoryStore(tensors)
    sites = [name.removesuffix(".q") for name in tensors if re.match(r"^\w+\.\d+\.(self|cross)\.q$", name)]
    return store, {Site.parse(site): _attention(module, Site.parse(site), masks, store, edits or {}) for site in sites}


def _rename(path: str) -> str:
    for pattern, name in _NAMES:
        if pattern.match(path):
            return pattern.sub(name, path)
    return path


def point_names(module: Transformer) -> dict[str, str]:
    """The name in the record of every hook point, by its path."""
    return {path: _rename(path) for path, part in module.named_modules() if isinstance(part, HookPoint)}


def _attention(
    module: Transformer, site: Site, masks: dict[str, RuleMask], store: MemoryStore, edits: Mapping[str, SiteEdits]
) -> AttentionRecord:
    attention = getattr(getattr(module, site.stack)[site.layer], f"{site.kind}_attention")
    record = attention_record(attention, site, masks[f"{site.stack}.{site.kind}"].example(0), store)
    return replace(record, edits=edits.get(str(site)))


def attention_record(attention: torch.nn.Module, site: Site, mask: RuleMask, store: MemoryStore) -> AttentionRecord:
    """The record of one of our own attentions over the q, k, v that are in `store`."""
    return AttentionRecord(
        site=site,
        scale=attention.scale,
        mask=mask,
        store=_with_relative(store, site, attention),
        slopes=None if attention.slopes is None else host(attention.slopes),
        distance=attention.relative.distance if attention.relative is not None else None,
    )


def _with_relative(store: MemoryStore, site: Site, attention: torch.nn.Module) -> MemoryStore:
    if attention.relative is not None:
        store.add(f"{site}.relative_keys", host(attention.relative.keys.detach()))
        store.add(f"{site}.relative_values", host(attention.relative.values.detach()))
    return store


def attention_parameters(module: Transformer) -> dict[str, Tensor]:
    """`{site}.W_Q` [d, h · d_k], `.b_Q` … `.W_O`, and the `.gamma`, `.beta` of the norm around the sub-layer."""
    parameters = {}
    for stack in ("encoder", "decoder"):
        for i, layer in enumerate(getattr(module, stack)):
            for kind in ("self", "cross"):
                attention = getattr(layer, f"{kind}_attention", None)
                if attention is None:
                    continue
                site = f"{stack}.{i}.{kind}"
                for letter in "QKVO":
                    linear = getattr(attention, f"W_{letter}")
                    parameters[f"{site}.W_{letter}"] = linear.weight.detach().T
                    parameters[f"{site}.b_{letter}"] = linear.bias.detach()
                norm = getattr(layer, f"{kind}_add").layer_norm
                parameters[f"{site}.gamma"], parameters[f"{site}.beta"] = norm.gamma.detach(), norm.beta.detach()
    return {name: host(parameter) for name, parameter in parameters.items()}


def leaving(norm: str) -> str:
    """The hook point where the residual stream leaves a sub-layer: its norm in post-LN, the bare sum in pre-LN."""
    return "norm" if norm == "post" else "residual"


def entering(store: Store, name: str, norm: str) -> str:
    """Name of the residual stream that enters the sub-layer `name`: `encoder.0.self`, `decoder.1.cross`, `decoder.1.ffn`."""
    stack, number, kind = name.split(".")
    layer = int(number)
    before = [f"{stack}.{layer}.{each}" for each in KINDS[: KINDS.index(kind)]]
    if layer > 0:
        before = [*(f"{stack}.{layer - 1}.{each}" for each in KINDS), *before]
    there = [each for each in before if f"{each}.residual" in store]
    return f"{there[-1]}.{leaving(norm)}" if there else f"{stack}.input"
