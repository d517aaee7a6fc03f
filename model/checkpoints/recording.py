"""One forward of a library model, recorded: every attention call named by its site, with what the record needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints import hook
from model.masks import Mask, compress
from model.record import AttentionRecord
from model.sites import Site
from model.store import MemoryStore


@dataclass(frozen=True, eq=False)
class Recorded:
    """One recorded forward of a library model, batch axis gone."""

    store: MemoryStore
    attention: dict[Site, AttentionRecord]

    @property
    def stacks(self) -> set[str]:
        return {site.stack for site in self.attention}


def record(module: nn.Module, inputs: Mapping[str, Tensor]) -> Recorded:
    """Run a library model once on inputs of batch 1 and keep every attention call and hidden state.

    The model must have been put on our registry entry (`use_hook`). Raises ValueError when nothing was heard.
    """
    with hook.listen(module) as calls:
        output = module(**inputs, use_cache=False, output_hidden_states=True) if _caches(module) else module(
            **inputs, output_hidden_states=True
        )  # fmt: skip
    if not calls:
        raise ValueError("no attention call was heard: this family does not go through the library's registry")
    tensors: dict[str, Tensor] = {}
    attention = attention_records(calls, tensors)
    for stack in {site.stack for site in attention}:
        name = "hidden_states" if getattr(output, "hidden_states", None) is not None else f"{stack}_hidden_states"
        for i, state in enumerate(getattr(output, name, None) or ()):
            tensors[f"{stack}.{i}.stream"] = state[0]
    logits = getattr(output, "logits", None)
    if logits is not None and logits.dim() == 3:  # one row a token; a classifier has one for the whole input
        tensors["logits"] = logits[0]
    store = MemoryStore(tensors)
    return Recorded(store, {site: _with_store(site, facts, store) for site, facts in attention.items()})


def plain(module: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    """Logits [n, V] (a classifier's: [V]) of a run that nobody listens to."""
    return (module(**inputs, use_cache=False) if _caches(module) else module(**inputs)).logits[0]


def _caches(module: nn.Module) -> bool:
    return hasattr(module.config, "use_cache")


def _with_store(site: Site, facts: dict[str, Any], store: MemoryStore) -> AttentionRecord:
    return AttentionRecord(site=site, store=store, **facts)


def attention_records(calls: list[hook.Call], tensors: dict[str, Tensor]) -> dict[Site, dict[str, Any]]:
    """Name each call by its site, put its tensors under that name, and keep its scale, mask and soft cap.

    Layers are counted in the order of the calls, because one module may serve every layer (ALBERT).
    """
    masks: dict[int, Any] = {}
    biases: dict[int, tuple[str, Tensor]] = {}
    counts: dict[tuple[str, str], int] = {}
    found: dict[Site, dict[str, Any]] = {}
    for call in calls:
        mask = _mask(call, masks)
        kind = "cross" if call.cross else "self"
        stack = "decoder" if call.cross or mask.causal else "encoder"
        site = Site(stack, counts.get((stack, kind), 0), kind)
        counts[stack, kind] = site.layer + 1
        parts = {"q": call.q[0], "k": call.k[0], "v": call.v[0], "context": call.context[0].transpose(0, 1)}
        if call.lse is not None:
            parts["lse"] = call.lse[0, : call.q.shape[1], : call.q.shape[2]]
        if call.output is not None:
            parts["output"] = call.output.reshape(-1, call.output.shape[-1])
        if call.sinks is not None:
            parts["sinks"] = call.sinks.detach().reshape(-1)
        if call.bias is not None:
            name, bias = biases.setdefault(id(call.bias), position_bias(call.bias[0]))
            parts[name] = bias
        tensors |= {f"{site}.{name}": part.detach() for name, part in parts.items()}
        if call.projection is not None:
            weight = call.projection.weight.detach()
            tensors[f"parameters/{site}.W_O"] = weight.T if isinstance(call.projection, nn.Linear) else weight
            if call.projection.bias is not None:
                tensors[f"parameters/{site}.b_O"] = call.projection.bias.detach()
        found[site] = {"scale": call.scale, "mask": mask, "softcap": call.softcap}
    return found


def _mask(call: hook.Call, seen: dict[int, Any]) -> Any:
    """The mask of a call as a rule; one tensor serves many layers and is read once."""
    if call.mask is None:
        return Mask(call.causal)
    if id(call.mask) not in seen:
        mask = call.mask[0, 0][:, : call.k.shape[2]]
        seen[id(call.mask)] = compress(mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2)
    return seen[id(call.mask)]


def position_bias(bias: Tensor) -> tuple[str, Tensor]:
    """bias [h, q, k] -> ("bias_offsets", [h, q + k − 1]) where it depends on the offset alone, else ("bias", as it is)."""
    _, q, k = bias.shape
    offsets = torch.cat([bias[:, :, 0].flip(1), bias[:, 0, 1:]], dim=1)
    i, j = torch.arange(q)[:, None], torch.arange(k)[None]
    if torch.equal(offsets[:, j - i + q - 1], bias):
        return "bias_offsets", offsets.contiguous()
    return "bias", bias


def use_hook(module: nn.Module) -> nn.Module:
    """Put a library model on our registry entry, once and for good: switching to and fro races between threads."""
    hook.register()
    module.set_attn_implementation(hook.NAME)
    return module.eval()
