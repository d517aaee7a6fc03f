"""One forward of a library model, recorded: every attention call named by its site, with what the record needs.

Models that go through the library's registry are recorded there (`attention_registry`), the others by operators (`score_trace`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from model.checkpoints.disk.families import TOWERS
from model.checkpoints.record import attention_registry, malloc, offload, qkv_projections, score_trace, site_names
from model.checkpoints.task_heads import outputs as head_outputs
from model.checkpoints.task_heads.inputs import as_taken
from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.output_projection import effective_matrix
from model.jobs.device import CPU, host
from model.trace.attention_record import AttentionRecord
from model.trace.logits import parts as logit_parts
from model.trace.mask_and_bias import is_masked, position_bias
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer.masks import DenseMask, IntervalMask, RuleMask, compress

if TYPE_CHECKING:
    from model.edits.run_edits import RunEdits


@dataclass(frozen=True, eq=False)
class Recorded:
    """One recorded forward of a library model, batch axis gone. modules: site -> the dotted path of its attention module."""

    store: MemoryStore
    attention: dict[Site, AttentionRecord]
    modules: dict[str, str] = field(default_factory=dict)

    @property
    def stacks(self) -> set[str]:
        return {site.stack for site in self.attention}


@dataclass(frozen=True, eq=False)
class CapturedAttention:
    """One captured attention call, whichever way: `parts` by their names in the record, batch axis gone.

    `bias` makes the dense bias [h, q, k] of the call when it is asked for; `source` says how q, k and v came to be.
    """

    path: str
    cross: bool
    mask: RuleMask | IntervalMask | DenseMask
    scale: float
    parts: dict[str, Tensor]
    parameters: dict[str, Tensor] = field(default_factory=dict)
    softcap: float | None = None
    bias: Callable[[], Tensor] | None = None
    source: qkv_projections.QKVSource | None = None


def record(
    module: nn.Module, inputs: Mapping[str, Tensor], edits: RunEdits | None = None
) -> Recorded:  # fmt: skip
    """Run a library model once on inputs of batch 1 and keep every attention call and hidden state.

    `prepare` the model first. edits: what is changed in this run; whoever calls changes it. Raises ValueError when
    no attention was captured, or a call whose scores cannot be told apart.
    """
    calls, output = _captured_calls(module, inputs)
    tensors: dict[str, Tensor] = {}
    store = MemoryStore({})
    paths = [site_names.CallPath(call.path, call.cross, call.mask.causal) for call in calls]
    sites = site_names.sites(paths, bool(getattr(module.config, "is_encoder_decoder", False)))
    attention = attention_records(sites, calls, tensors, store)
    paths_of = dict(zip(sites, (call.path for call in calls), strict=True))
    layers = site_names.layers_of(module, paths_of)
    tensors |= streams(output, set(layers), layers)
    for name in tensors.keys() & (edits.activations.keys() if edits is not None else ()):
        tensors[name] = edits.activation(name, tensors[name])  # the library tells what left the layer before
    outputs = head_outputs.named(type(module).__name__, output)
    if "logits" in outputs:
        outputs |= logit_parts(outputs.pop("logits"))
    tensors |= {name: host(tensor) for name, tensor in outputs.items()}
    for name, tensor in tensors.items():
        store.add(name, tensor)
    changed = {} if edits is None else edits.sites
    records = {
        site: AttentionRecord(site=site, store=store, edits=changed.get(str(site)), **facts)
        for site, facts in attention.items()
    }
    return Recorded(store, records, {str(site): path for site, path in paths_of.items()})


def streams(output: Any, stacks: set[str], layers: Mapping[str, int] | None = None) -> dict[str, Tensor]:
    """The hidden states of a library output by their names in the record, batch axis gone.

    None of a stack with fewer of them than its `layers` and one: which layers they stand between is not known then.
    """
    states = {stack: _states(output, stack) for stack in stacks}
    whole = {stack: own for stack, own in states.items() if len(own) > (layers or {}).get(stack, 0)}
    return {f"{stack}.{i}.stream": host(state[0]) for stack, own in whole.items() for i, state in enumerate(own)}


def run(module: nn.Module, inputs: Mapping[str, Tensor], **options: object) -> Any:
    """What the library gives of a plain forward, its hidden states too."""
    return call(module, inputs, output_hidden_states=True, **options)


def _captured_calls(module: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[list[CapturedAttention], Any]:
    if registered(module):
        with attention_registry.record_calls(module) as calls:
            output = run(module, inputs)
        masks: dict[int, Any] = {}
        biases: dict[int, tuple[str, Tensor]] = {}
        if calls:
            single = site_names.one_token_is_causal(module)
            return [_from_hook(call, masks, biases, single) for call in calls], output
    with score_trace.traced(module, attention_registry.expected(module)) as traced:
        output = run(module, inputs)
    single, crosses = (
        site_names.one_token_is_causal(module),
        attention_registry.cross_attention(module.config.model_type),
    )
    return [_from_operators(call, single, crosses) for call in traced], output


def _states(output: Any, stack: str) -> tuple[Tensor, ...]:
    """The hidden states of one stack; the towers of a dual encoder each have an output of their own."""
    tower = getattr(output, f"{TOWERS[stack]}_output", None)
    output = output if tower is None else tower
    name = "hidden_states" if getattr(output, "hidden_states", None) is not None else f"{stack}_hidden_states"
    # Where a layer hands on two streams (PEGASUS-X: tokens and globals) the first is the tokens'.
    states = getattr(output, name, None) or ()
    return tuple(state[0] if isinstance(state, tuple) else state for state in states)


def plain(module: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the head gives in a plain run, with nothing recorded, by the names of `task_heads.outputs.named`."""
    found = head_outputs.named(type(module).__name__, call(module, inputs))
    return {name: host(tensor) for name, tensor in found.items()}


def call(module: nn.Module, inputs: Mapping[str, Tensor], **options: object) -> Any:
    return module(**as_taken(module, inputs), **({"use_cache": False} if _caches(module) else {}), **options)


def _caches(module: nn.Module) -> bool:
    return hasattr(module.config, "use_cache")


def registered(module: nn.Module) -> bool:
    """Whether the model calls our function of the library's attention registry."""
    return getattr(module.config, "_attn_implementation", None) in (attention_registry.NAME, attention_registry.OWN)


def attention_records(
    sites: list[Site], calls: list[CapturedAttention], tensors: dict[str, Tensor], store: MemoryStore
) -> dict[Site, dict[str, Any]]:
    """Put the tensors of each call under the name of its site, and keep its scale, mask and soft cap."""
    found: dict[Site, dict[str, Any]] = {}
    for site, call in zip(sites, calls, strict=True):
        tensors |= {f"{site}.{name}": part.detach() for name, part in call.parts.items()}
        for name, part in call.parameters.items():
            if part.device == CPU:
                tensors[f"parameters/{site}.{name}"] = part.detach()
            else:  # fetched when it is asked for: every run would copy the weights
                store.add_lazy(f"parameters/{site}.{name}", part.shape, partial(host, part))
        if call.source is not None:
            qkv_projections.keep(call.source, str(site), tensors, store)
        if call.bias is not None:
            shape = (*call.parts["q"].shape[:2], call.parts["k"].shape[1])
            store.add_lazy(f"{site}.bias", shape, call.bias)
        found[site] = {"scale": call.scale, "mask": call.mask, "softcap": call.softcap}
    return found


def _from_hook(
    call: attention_registry.RegistryCall, masks: dict[int, Any], biases: dict[int, tuple[str, Tensor]], single: bool
) -> CapturedAttention:
    parts = {"q": call.q[0], "k": call.k[0], "v": call.v[0], "context": call.context[0].transpose(0, 1)}
    if call.lse is not None:
        parts["lse"] = call.lse[0, : call.q.shape[1], : call.q.shape[2]]
    parameters = {}
    if call.output is not None:
        parts["output"] = call.output.reshape(-1, call.output.shape[-1])
        parameters = _projection(call, parts["output"])
        if _returned_otherwise(call):
            parts["output"], parameters = call.returned.reshape(-1, call.returned.shape[-1]), {}
    if call.sinks is not None:
        parts["sinks"] = call.sinks.reshape(-1)
    if call.bias is not None:
        name, bias = biases.setdefault(id(call.bias), position_bias(call.bias[0]))
        parts[name] = bias
    return CapturedAttention(
        call.name,
        call.cross,
        _mask(call, masks, single),
        call.scale,
        parts,
        parameters,
        call.softcap,
        source=call.source,
    )


def _projection(call: attention_registry.RegistryCall, output: Tensor) -> dict[str, Tensor]:
    """W_O and b_O of the module that read the context; {} where it is not one matrix, whatever it is made of."""
    if not qkv_projections.linear(call.projection):
        found = effective_matrix(call.projection, call.context.reshape(len(output), -1), output)
        return {} if found is None else dict(zip(("W_O", "b_O"), found, strict=True))
    weight, bias = (offload.parameter(call.projection, name) for name in ("weight", "bias"))
    W_O = {"W_O": weight.T if isinstance(call.projection, nn.Linear) else weight}
    return W_O if bias is None else W_O | {"b_O": bias}


def _returned_otherwise(call: attention_registry.RegistryCall) -> bool:
    """Whether the attention module, with its projection inside, gave something else than the projection."""
    return call.returned is not None and any(part is call.projection for part in call.module.modules())


def _from_operators(call: AttentionCall, single: bool, crosses: re.Pattern[str]) -> CapturedAttention:
    named = {"q": call.q, "k": call.k, "v": call.v, "context": call.context, "output": call.output} | call.parts
    parts = {name: host(part) for name, part in named.items()}
    known = {"W_O": call.projection, "b_O": call.projection_bias}
    parameters = {name: part for name, part in known.items() if part is not None}
    path = call.path[-1][0]
    alone = call.q.shape[1] == call.k.shape[1] == 1
    mask = RuleMask(single or "decoder" in path.split(".")) if alone else call.mask
    return CapturedAttention(path, bool(crosses.search(path)), mask, call.scale, parts, parameters, bias=call.make_bias)


def _mask(call: attention_registry.RegistryCall, seen: dict[int, Any], single: bool) -> Any:
    """The mask of a call as a rule; one tensor serves many layers and is read once."""
    if call.q.shape[2] == call.k.shape[2] == 1:
        return RuleMask(single or "decoder" in call.name.split("."))
    if call.mask is None:
        return RuleMask(call.causal)
    if id(call.mask) not in seen:
        mask = call.mask[0, 0][:, : call.k.shape[2]]
        seen[id(call.mask)] = compress(mask if mask.dtype == torch.bool else ~is_masked(mask))
    return seen[id(call.mask)]


def prepare(module: nn.Module) -> nn.Module:
    """Make a library model ready for `record`, once and for good: switching to and fro races between threads.

    Where its attention goes through the library's registry it is put on our entry there; the others stay as they are, and
    so does one of whose parts a single one does not (TrOCR's decoder behind a ViT).
    """
    malloc.keep_freed()
    if all(getattr(part, "_can_set_attn_implementation", lambda: True)() for part in module.modules()):
        attention_registry.register()
        fused = getattr(type(module), "_supports_sdpa", False)
        module.set_attn_implementation(attention_registry.NAME if fused else attention_registry.OWN)
    return module.eval()
