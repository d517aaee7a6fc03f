"""Recording library models through the attention registry of `transformers`, with the fused kernel kept.

The forward runs the library's own scaled-dot-product path; this module only records what goes in and comes out, so
the logits of a recorded run are those of a plain one, bit for bit. Where that path cannot be used (soft-capped scores,
attention sinks) attention is computed in blocks of rows (`attention_functions`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from model.checkpoints.disk.config_sizes import Sizes
from model.checkpoints.disk.families import rules_of
from model.checkpoints.edited import library as edited
from model.checkpoints.record import qkv_projections
from model.checkpoints.record.attention_functions import AttentionInput, blocked, eager, fused
from model.instrumentation.operators.output_projection import differs
from model.instrumentation.operators.recorder import first_output
from model.jobs.device import CPU, HostCopies, host
from model.jobs.progress import tick

# The registry treats names that contain "sdpa", "flash", "flex", "|" or "/" in its own way.
NAME = "headlight"
# For classes without the scaled-dot-product path: masks and attention as the class makes them itself.
OWN = "headlight_own"
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
    module: nn.Module | None = None
    projection: nn.Module | None = None
    output: Tensor | None = None
    returned: Tensor | None = None  # by `module`, the attention module, where that is no projection (and no residual)
    source: qkv_projections.QKVSource | None = None


@dataclass(eq=False)
class RegistryRecorder:
    """The attention calls of one forward, as they went through the library's registry.

    names: module -> dotted paths, several where layers share it. running: those of the numbered modules that run, the
    innermost last. crosses: finds the paths of cross-attention. readers: what may make q, k and v. expected: how many calls,
    0 if not known. reads: the projections that ran since the last attention call. rotary: the (cos, sin) of the module that
    is running.
    """

    names: dict[nn.Module, list[str]]
    crosses: re.Pattern[str]
    readers: set[nn.Module] = field(default_factory=set)
    expected: int = 0
    calls: list[RegistryCall] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    reads: list[qkv_projections.LinearCall] = field(default_factory=list)
    rotary: tuple[Tensor, Tensor] | None = None
    shared: HostCopies = field(default_factory=HostCopies)

    def settle(self) -> None:
        """Bring the last call to the memory of the processor: it is over once the next begins, and its W_O is found."""
        if not self.calls or self.calls[-1].q.device == CPU:
            return
        call = self.calls[-1]
        for name in ("q", "k", "v", "context", "lse", "sinks", "output", "returned"):
            if (tensor := getattr(call, name)) is not None:
                setattr(call, name, host(tensor))
        for name in ("mask", "bias"):
            if (tensor := getattr(call, name)) is not None:
                setattr(call, name, self.shared(tensor))
        if call.source is not None:
            call.source = call.source.on_host(self.shared)

    def path(self, module: nn.Module) -> str:
        """The dotted path of `module` in the layer that runs; layers may share one (Zamba)."""
        names, layer = self.names.get(module, [""]), self.running[-1] if self.running else ""
        return next((name for name in names if name.startswith(f"{layer}.")), names[0])

    def entered(self, module: nn.Module, _inputs: tuple) -> None:
        self.running.append(self.path(module))

    def left(self, _module: nn.Module, _inputs: tuple, _output: object) -> None:
        self.running.pop()

    def rotates(self, module: nn.Module, inputs: tuple, options: dict) -> None:
        self.rotary = qkv_projections.rotary(module, inputs, options)

    def projected(self, module: nn.Module, inputs: tuple, output: object) -> None:
        """W_O is the first linear module that reads the very memory an attention call has just written."""
        if not inputs or not all(isinstance(part, Tensor) for part in (inputs[0], output)):
            return
        call = self.calls[-1] if self.calls else None
        reads = call is not None and inputs[0].numel() == call.context.numel() and len(inputs) == 1
        reads = reads and inputs[0].data_ptr() == call.context.data_ptr()
        # A module around the first may add matrices of its own to it (LoRA).
        if reads and (call.projection is None or call.projection in set(module.modules())):
            call.projection, call.output = module, output
        elif module in self.readers:
            self.reads.append(qkv_projections.LinearCall(module, inputs[0], output))

    def returned(self, module: nn.Module, inputs: tuple, options: dict, output: object) -> None:
        """What an attention module gave, where that is not what its projection made."""
        call = self.calls[-1] if self.calls else None
        first = first_output(output)
        if call is None or call.module is not module or call.returned is not None or call.output is None:
            return
        if first is not None and differs(module, (*inputs, *options.values()), call.output, first):
            call.returned = first

    def source(self, module: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> qkv_projections.QKVSource | None:
        """The projections that made the q, k and v of the attention call that `module` is about to make."""
        found = qkv_projections.qkv_source(module, self.reads, q, k, v, self.rotary)
        self.reads, self.rotary = [], None
        return found


def attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling=None,
              dropout: float = 0.0, **options):  # fmt: skip
    """The function that the registry calls for every sub-layer of a class with sdpa -> (context [b, q, h, d_v], None)."""
    given = AttentionInput(query, key, value, attention_mask, scaling, dropout, options)
    is_causal = options.get("is_causal")
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = bool(query.shape[2] > 1 and attention_mask is None and is_causal)  # the library's own rule
    return _recorded(module, given, causal, fused)


def own_attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling=None,
                  dropout: float = 0.0, **options):  # fmt: skip
    """The same of a class without: its own eager function, which looks at the mask alone -> (context, None)."""
    given = AttentionInput(query, key, value, attention_mask, scaling, dropout, options)
    return _recorded(module, given, False, eager)


def _recorded(
    module: nn.Module,
    given: AttentionInput,
    causal: bool,
    compute: Callable[[nn.Module, AttentionInput, bool], tuple[Tensor, Tensor | None]],
) -> tuple[Tensor, None]:
    recorder = _recording.get()
    source = None
    if recorder is not None:
        recorder.settle()
        source = recorder.source(module, given.query, given.key, given.value)
        tick("layers", min(1.0, len(recorder.calls) / recorder.expected) if recorder.expected else None)
    if given.softcap is not None or given.sinks is not None:
        context, lse = blocked(given, causal)
    else:
        context, lse = compute(module, given, recorder is not None)
    context, lse = edited.change(module, given, causal, context, lse)
    if recorder is not None:
        name = recorder.path(module)
        cross = bool(recorder.crosses.search(name)) or bool(getattr(module, "is_cross_attention", False))
        recorder.calls.append(
            RegistryCall(name, cross, causal, given.query, given.key, given.value, given.mask, given.scale, given.softcap,
                         given.sinks, given.bias, context, lse, module, source=source)
        )  # fmt: skip
    return context, None


def register() -> None:
    """Put our names into the library's two registries; without the mask function it silently drops every mask."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask, sdpa_mask

    for name, function, mask in ((NAME, attention, sdpa_mask), (OWN, own_attention, eager_mask)):
        AttentionInterface.register(name, function)
        AttentionMaskInterface.register(name, mask)


def cross_attention(model_type: str) -> re.Pattern[str]:
    """A regular expression for the dotted paths of a family's cross-attention modules."""
    return re.compile(rules_of(model_type).cross_attention, re.IGNORECASE)


def expected(module: nn.Module) -> int:
    """Attention calls of one forward as the configuration counts them: what a progress bar needs, no more."""
    return Sizes.of(module.config.to_dict()).calls


@contextmanager
def record_calls(model: nn.Module) -> Iterator[list[RegistryCall]]:
    """Record every attention call of the forwards inside the block, and find each one's W_O by data flow."""
    # Walked once: in a deep model every walk is a good part of what recording costs.
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    recorder = RegistryRecorder(
        names, cross_attention(model.config.model_type), qkv_projections.readers(names), expected(model)
    )
    handles = _hooks(recorder)
    token = _recording.set(recorder)
    try:
        yield recorder.calls
        recorder.settle()
    finally:
        _recording.reset(token)
        for handle in handles:
            handle.remove()


def _hooks(recorder: RegistryRecorder) -> list[RemovableHandle]:
    """What the recorder hears of a model's modules, which another thread may be running for a recorder of its own."""

    def heard(method: Callable[..., None]) -> Callable[..., None]:
        def hook(*given: object) -> None:
            if _recording.get() is recorder:
                method(*given)

        return hook

    modules = list(recorder.names)
    linear = [module for module in modules if qkv_projections.linear(module)]
    lines = set(linear)
    around = [module for module in modules if module not in lines and not lines.isdisjoint(module.children())]
    handles = [module.register_forward_hook(heard(recorder.projected)) for module in (*linear, *around)]
    for module in qkv_projections.rotary_modules(modules):
        handles.append(module.register_forward_pre_hook(heard(recorder.rotates), with_kwargs=True))
    for module in modules:
        if "Att" in type(module).__name__:
            handles.append(module.register_forward_hook(heard(recorder.returned), with_kwargs=True))
        if recorder.names[module][0].rpartition(".")[2].isdigit():
            handles.append(module.register_forward_pre_hook(heard(recorder.entered)))
            handles.append(module.register_forward_hook(heard(recorder.left)))
    return handles
