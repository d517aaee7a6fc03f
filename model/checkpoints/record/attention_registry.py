"""Recording library models through the attention registry of `transformers`, with the fused kernel kept.

The forward runs the library's own scaled-dot-product path; this module only records what goes in and comes out, so
the logits of a recorded run are those of a plain one, bit for bit. Where that path cannot be used (soft-capped scores,
attention sinks) attention is computed here in blocks of rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model.checkpoints.disk.config_sizes import Sizes
from model.checkpoints.disk.families import rules_of
from model.checkpoints.record import qkv_projections
from model.instrumentation.operators.recorder import Operation, OperatorRecorder
from model.jobs.progress import tick

# The registry treats names that contain "sdpa", "flash", "flex", "|" or "/" in its own way.
NAME = "headlight"
_BLOCK = 256
_recording: ContextVar[RegistryRecorder | None] = ContextVar("registry recorder", default=None)


@dataclass(eq=False)
class RegistryCall:
    """One attention call as the library made it, batch axis kept: q [b, h, q, d_k], k and v [b, h_kv, k, ·]."""

    name: str
    cross: bool
    causal: bool
    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    scale: float
    softcap: float | None = None
    sinks: Tensor | None = None
    bias: Tensor | None = None
    context: Tensor | None = None  # [b, q, h, d_v], as handed on to W_O
    lse: Tensor | None = None  # [b, h, q]
    projection: nn.Module | None = None
    output: Tensor | None = None
    source: qkv_projections.QKVSource | None = None


@dataclass(eq=False)
class RegistryRecorder:
    """The attention calls of one forward, as they went through the library's registry.

    names: module -> dotted path. crosses: finds the paths of cross-attention. expected: how many calls, 0 if not known.
    reads: the projections that ran since the last attention call. rotary: the (cos, sin) of the module that is running.
    """

    names: dict[nn.Module, str]
    crosses: re.Pattern[str]
    expected: int = 0
    calls: list[RegistryCall] = field(default_factory=list)
    reads: list[qkv_projections.LinearCall] = field(default_factory=list)
    rotary: tuple[Tensor, Tensor] | None = None

    def source(self, module: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> qkv_projections.QKVSource | None:
        """The projections that made the q, k and v of the attention call that `module` is about to make."""
        found = qkv_projections.qkv_source(module, self.reads, q, k, v, self.rotary)
        self.reads, self.rotary = [], None
        return found


def _keep_log_sum_exp(operation: Operation, sums: list[Tensor]) -> None:
    if operation.is_kernel:
        sums.append(operation.result[1])


def attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling=None,
              dropout: float = 0.0, **options):  # fmt: skip
    """The function that the registry calls for every attention sub-layer -> (context [b, q, h, d_v], None)."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    recorder = _recording.get()
    source = None
    if recorder is not None:
        source = recorder.source(module, query, key, value)
        tick("layers", min(1.0, len(recorder.calls) / recorder.expected) if recorder.expected else None)
    softcap = options.get("softcap")
    sinks = options.get("s_aux", options.get("sinks"))
    special = softcap is not None or sinks is not None
    if recorder is None and not special:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    is_causal = options.get("is_causal")
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = bool(query.shape[2] > 1 and attention_mask is None and is_causal)  # the library's own rule
    lse = None
    if special:
        context, lse = blocked(
            query, key, value, attention_mask, scale, softcap, sinks, options.get("position_bias"), causal
        )
    else:
        # The fused kernel inside the library's call returns the log-sum-exp anyway.
        sums: list[Tensor] = []
        operators = OperatorRecorder()
        operators.followers.append(lambda operation: _keep_log_sum_exp(operation, sums))
        with operators:
            context, _ = sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
            )
        lse = sums[-1] if sums else None
    if recorder is not None:
        name = recorder.names.get(module, "")
        cross = bool(recorder.crosses.search(name)) or bool(getattr(module, "is_cross_attention", False))
        recorder.calls.append(
            RegistryCall(name, cross, causal, query, key, value, attention_mask, float(scale), softcap, sinks,
                 options.get("position_bias"), context, lse, source=source)
        )  # fmt: skip
    return context, None


def blocked(q, k, v, mask, scale, softcap, sinks, bias, causal) -> tuple[Tensor, Tensor]:
    """Attention in blocks of rows for what the fused kernel lacks -> (context [b, q, h, d_v], lse [b, h, q])."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    contexts, sums = [], []
    for start in range(0, q.shape[2], _BLOCK):
        rows = slice(start, min(start + _BLOCK, q.shape[2]))
        scores = (q[:, :, rows] @ k.transpose(-1, -2)) * scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if bias is not None:
            scores = scores + bias[:, :, rows]
        if mask is not None:
            tile = mask[:, :, rows, : k.shape[2]]
            scores = scores.masked_fill(~tile, -torch.inf) if tile.dtype == torch.bool else scores + tile
        elif causal:
            i = torch.arange(rows.start, rows.stop, device=q.device)[:, None]
            scores = scores.masked_fill(torch.arange(k.shape[2], device=q.device)[None] > i, -torch.inf)
        # Half-precision scores are summed in float32, as the fused kernels do; wider ones keep their width.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        wide = scores
        if sinks is not None:
            sink = sinks.to(scores.dtype).reshape(1, -1, 1, 1).expand(*wide.shape[:3], 1)
            wide = torch.cat([wide, sink], dim=-1)
        lse = torch.logsumexp(wide, dim=-1)
        lse = torch.where(torch.isneginf(lse), torch.zeros_like(lse), lse)
        weights = (scores - lse[..., None]).exp().to(q.dtype)
        contexts.append(weights @ v)
        sums.append(lse)
    return torch.cat(contexts, 2).transpose(1, 2).contiguous(), torch.cat(sums, 2)


def register() -> None:
    """Put our names into the library's two registries; without the mask function it silently drops every mask."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def cross_attention(model_type: str) -> re.Pattern[str]:
    """A regular expression for the dotted paths of a family's cross-attention modules."""
    return re.compile(rules_of(model_type).cross_attention, re.IGNORECASE)


def expected(module: nn.Module) -> int:
    """Attention calls of one forward as the configuration counts them: what a progress bar needs, no more."""
    return Sizes.of(module.config.to_dict()).calls


@contextmanager
def record_calls(model: nn.Module) -> Iterator[list[RegistryCall]]:
    """Record every attention call of the forwards inside the block, and find each one's W_O by data flow."""
    names = {module: name for name, module in model.named_modules()}
    recorder = RegistryRecorder(names, cross_attention(model.config.model_type), expected(model))
    modules = list(recorder.names)  # walked once: in a deep model every walk is a good part of what recording costs
    inside = qkv_projections.readers(modules)

    def projected(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        # W_O is the first linear module that reads the very memory an attention call has just written.
        # The hooks hang on the model, which another thread may be running for a recorder of its own.
        if _recording.get() is not recorder or not inputs or not isinstance(inputs[0], Tensor):
            return
        call = recorder.calls[-1] if recorder.calls else None
        waits = call is not None and call.projection is None and inputs[0].numel() == call.context.numel()
        if waits and inputs[0].data_ptr() == call.context.data_ptr():
            call.projection, call.output = module, output
        elif module in inside:
            recorder.reads.append(qkv_projections.LinearCall(module, inputs[0], output))

    def rotates(module: nn.Module, inputs: tuple, options: dict) -> None:
        if _recording.get() is recorder:
            recorder.rotary = qkv_projections.rotary(module, inputs, options)

    linear = [module for module in modules if qkv_projections.linear(module)]
    handles = [module.register_forward_hook(projected) for module in linear]
    handles += [m.register_forward_pre_hook(rotates, with_kwargs=True) for m in qkv_projections.rotary_modules(modules)]
    token = _recording.set(recorder)
    try:
        yield recorder.calls
    finally:
        _recording.reset(token)
        for handle in handles:
            handle.remove()
