"""Edits of a run of a library model: its attention function hands on what an edit makes of a call, layers what it makes of the
stream that enters them. A context variable holds them, so that no other thread that runs the same module sees any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from model.edits.run_edits import RunEdits
from model.errors.edits import NotEditable
from model.jobs.device import host
from model.trace.attention_record import AttentionRecord
from model.trace.mask_and_bias import is_masked, position_bias
from model.trace.site import Site
from model.trace.tensors import MemoryStore
from model.transformer.masks import RuleMask, compress

_running: ContextVar[Editing | None] = ContextVar("edits of a library model's run", default=None)


@dataclass(eq=False)
class Editing:
    """The edits of the forwards inside a block. sites: path of an attention module -> the sub-layers that it serves, in turn.

    names: module -> its dotted paths. seen: is handed every context [b, q, h, d_v] with its sub-layer, and hands it on.
    """

    edits: RunEdits
    sites: Mapping[str, list[str]]
    names: Mapping[nn.Module, list[str]]
    seen: Callable[[str, Tensor], Tensor] | None = None
    turns: dict[str, int] = field(default_factory=dict)

    def site(self, module: nn.Module) -> str | None:
        """Which sub-layer the call is of that `module` makes now."""
        path = next((name for name in self.names.get(module, []) if name in self.sites), None)
        if path is None:
            return None
        turn = self.turns[path] = self.turns.get(path, -1) + 1
        return self.sites[path][turn % len(self.sites[path])]


def running() -> bool:
    """Whether this thread is inside an edited run."""
    return _running.get() is not None


def check_editable(module: nn.Module, edits: Sequence[object]) -> None:
    """Raises NotEditable where attention is followed operator by operator instead of passing a function of ours."""
    if edits and not str(getattr(module.config, "_attn_implementation", "")).startswith("headlight"):
        reason = f"the attention of {module.config.model_type} does not pass the library's registry"
        raise NotEditable(got=edits[0], reason=reason, allowed="nothing in this family")


def change(
    module: nn.Module, call: Any, causal: bool, context: Tensor, lse: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Context [b, q, h, d_v] and log-sum-exp [b, h, q] of a call as the edits have them; untouched where there are none.

    call: its query, key, value, mask, bias, scale, softcap and sinks, as `attention_functions.AttentionInput` has them.
    """
    editing = _running.get()
    site = None if editing is None else editing.site(module)
    if site is not None and editing.seen is not None:
        context = editing.seen(site, context)
    here = None if site is None else editing.edits.sites.get(site)
    if here is None:
        return context, lse
    contexts, lse = context.clone(), None if lse is None else lse.clone()
    for b in range(context.shape[0]):
        record = _record(Site.parse(site), call, causal, b)
        found, sums = here.run(record, context[b].transpose(0, 1))
        contexts[b] = found.transpose(0, 1)
        for head, own in sums.items() if lse is not None else ():
            lse[b, head, : len(own)] = own.to(lse)
    return contexts, lse


def _record(site: Site, call: Any, causal: bool, b: int) -> AttentionRecord:
    """One example of a call as a record, which says what its scores are."""
    parts = {"q": host(call.query[b]), "k": host(call.key[b]), "v": host(call.value[b])}
    if call.sinks is not None:
        parts["sinks"] = host(call.sinks.reshape(-1))
    if call.bias is not None:
        name, bias = position_bias(call.bias[b if call.bias.shape[0] > 1 else 0])
        parts[name] = host(bias)
    if call.mask is None:
        mask = RuleMask(causal)
    else:
        tile = call.mask[b if call.mask.shape[0] > 1 else 0, 0][:, : call.key.shape[2]]
        mask = compress(tile if tile.dtype == torch.bool else ~is_masked(tile))
    store = MemoryStore({f"{site}.{name}": part for name, part in parts.items()})
    return AttentionRecord(site, call.scale, mask, store, softcap=call.softcap)


@contextmanager
def edited(module: nn.Module, edits: RunEdits, modules: Mapping[str, str]) -> Iterator[None]:
    """Every forward of `module` inside the block, in this thread, is edited. modules: site -> path of its attention module, as a
    run without edits told them. Raises NotEditable."""
    if not edits:
        yield
        return
    editing = _editing(module, edits, modules)
    handles = [_stream(module, name, editing, modules) for name in edits.activations]
    token = _running.set(editing)
    try:
        yield
    finally:
        _running.reset(token)
        for handle in handles:
            handle.remove()


@contextmanager
def watched(
    module: nn.Module, modules: Mapping[str, str], seen: Callable[[str, Tensor], Tensor]
) -> Iterator[None]:  # fmt: skip
    """The contexts of every forward of `module` inside the block, in this thread, pass `seen`; nothing is edited."""
    token = _running.set(_editing(module, RunEdits(), modules, seen))
    try:
        yield
    finally:
        _running.reset(token)


def _editing(
    module: nn.Module, edits: RunEdits, modules: Mapping[str, str], seen: Callable[[str, Tensor], Tensor] | None = None
) -> Editing:  # fmt: skip
    paths: dict[str, list[str]] = {}
    for site, path in modules.items():
        paths.setdefault(path, []).append(site)
    names: dict[nn.Module, list[str]] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        names.setdefault(part, []).append(name)
    return Editing(edits, paths, names, seen)


def _stream(module: nn.Module, name: str, editing: Editing, modules: Mapping[str, str]) -> Any:
    """A hook on the layer that `encoder.1.stream` enters. Raises NotEditable."""
    stack, layer, what = name.split(".", 2)
    path = modules.get(f"{stack}.{layer}.self")
    at = None if path is None or what != "stream" else _layer(path, int(layer))
    if at is None:
        raise NotEditable(got=name, reason="its layers are not told apart", allowed="heads, keys, patterns and streams")

    def enters(_layer: nn.Module, args: tuple, options: dict | None = None) -> tuple[tuple, dict] | None:
        # Another thread's run, for an instant without its keywords.
        if _running.get() is not editing or options is None:
            return None
        if args:
            return (editing.edits.activation(name, args[0]), *args[1:]), options
        return args, options | {"hidden_states": editing.edits.activation(name, options["hidden_states"])}

    return module.get_submodule(at).register_forward_pre_hook(enters, with_kwargs=True)


def _layer(path: str, layer: int) -> str | None:
    """The path of the layer that an attention module is in, None where its number is another one's."""
    parts = path.split(".")
    at = next((place for place, part in enumerate(parts) if part.isdigit()), None)
    return None if at is None or int(parts[at]) != layer else ".".join(parts[: at + 1])
