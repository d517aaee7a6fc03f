"""The Q, K and V projections of a library model's attention calls: which linear modules made q, k and v, and of what input.

Found by data flow, at the price of a few references: the linear modules of an attention module that ran since the last
attention call, in order. Which columns of a fused product are v is read off v itself, which is a view of it. Numbers are
compared by nobody here: `model.steps.projections` makes q, k and v again and shows only what comes out as recorded.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor, nn

from model.checkpoints.record import offload
from model.jobs.device import HostCopies, host
from model.trace.tensors import MemoryStore


@dataclass(frozen=True, eq=False)
class LinearCall:
    """One call of a linear module; its result is held until the attention call, so that no other gets its memory."""

    module: nn.Module
    source: Tensor
    result: Tensor

    @property
    def width(self) -> int:
        return self.result.shape[-1]


@dataclass(frozen=True, eq=False)
class ColumnSlice:
    """The columns of one linear module's result that are q, k or v: `count` runs of `width`, `step` apart."""

    module: nn.Module
    start: int
    step: int
    count: int
    width: int

    @property
    def columns(self) -> int:
        return self.count * self.width

    def take(self, whole: Tensor) -> Tensor:
        """Those columns of the last axis: a view where they lie together."""
        if self.step == self.width or self.count == 1:
            return whole[..., self.start : self.start + self.columns]
        starts = range(self.start, self.start + self.count * self.step, self.step)
        return torch.cat([whole[..., at : at + self.width] for at in starts], -1)

    def weight(self) -> Tensor:
        """W [d, h · d_k], in the orientation x · W."""
        weight = offload.parameter(self.module, "weight")
        return host(self.take(weight.T if isinstance(self.module, nn.Linear) else weight).detach())

    def bias(self) -> Tensor:
        return host(self.take(offload.parameter(self.module, "bias")).detach())


@dataclass(frozen=True, eq=False)
class QKVSource:
    """The projections of q (of `x`), k and v (of `y`), with the `norms` and `rotary` (cos, sin) that the model has."""

    x: Tensor
    y: Tensor
    parts: dict[str, ColumnSlice]
    norms: dict[str, nn.Module] = field(default_factory=dict)
    rotary: tuple[Tensor, Tensor] | None = None

    def on_host(self, shared: HostCopies) -> QKVSource:
        """The same with its tensors in the memory of the processor; what layers share is copied once."""
        x = host(self.x)
        y = x if self.y is self.x else shared(self.y)
        rotary = None if self.rotary is None else (shared(self.rotary[0]), shared(self.rotary[1]))
        return replace(self, x=x, y=y, rotary=rotary)


# Of q, k and v the call that made each, and the columns of its result.
_Split = tuple[dict[str, LinearCall], dict[str, ColumnSlice]]


def readers(modules: Iterable[nn.Module]) -> set[nn.Module]:
    """The linear modules that lie directly in an attention module: those whose calls are worth remembering."""
    owners = [module for module in modules if "Attention" in type(module).__name__]
    return {child for owner in owners for child in owner.children() if linear(child)}


def linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def rotary_modules(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """The attention modules that are given the cosines and sines of their rotation from outside."""
    return [
        module
        for module in modules
        if _position_of_rotary(type(module)) is not None and any(linear(child) for child in module.children())
    ]


@cache
def _position_of_rotary(kind: type[nn.Module]) -> int | None:
    """Where `position_embeddings` stands among the arguments of `forward`, not counting self."""
    names = list(inspect.signature(kind.forward).parameters)
    return names.index("position_embeddings") - 1 if "position_embeddings" in names else None


def rotary(module: nn.Module, args: tuple, kwargs: dict) -> tuple[Tensor, Tensor] | None:
    """The (cos, sin), each [1, n, ·], that an attention module is called with, or None."""
    at = _position_of_rotary(type(module))
    pair = kwargs.get("position_embeddings", args[at] if at is not None and at < len(args) else None)
    pairs = isinstance(pair, tuple | list) and len(pair) == 2
    fits = pairs and all(isinstance(part, Tensor) and part.dim() == 3 and part.shape[0] == 1 for part in pair)
    return tuple(pair) if fits else None


def qkv_source(
    module: nn.Module, reads: list[LinearCall], q: Tensor, k: Tensor, v: Tensor, pair: tuple[Tensor, Tensor] | None
) -> QKVSource | None:
    """Which of `reads` became q [b, h, q, d_k], k and v [b, h_kv, k, ·]; None where that cannot be told."""
    own = set(module.children())
    reads = [read for read in reads if read.module in own]
    chosen = _fused(reads[-1], q, k, v) if len(reads) == 1 else _apart(reads, q, k, v)
    if chosen is None:
        return None
    of, parts = chosen
    x, y, other = (of[name].source for name in "qkv")
    if not all(_plain(read) for read in of.values()):
        return None
    lengths = (x.numel() // x.shape[-1], y.numel() // y.shape[-1])
    if not _same(y, other) or lengths != (q.shape[2], k.shape[2]):
        return None
    # A view of the product was neither normalised nor rotated on its way.
    changed = [name for name, part in (("q", q), ("k", k)) if not _in(part, of[name].result)]
    norms = {name: norm for name in changed if (norm := _norm(module, name)) is not None}
    return QKVSource(x, x if _same(x, y) else y, parts, norms, pair if len(changed) == 2 else None)


def _plain(read: LinearCall) -> bool:
    """Whether the weight is the matrix that multiplies (packed ones of quantised models are not)."""
    d_in, d_out = read.source.shape[-1], read.width
    shape = (d_out, d_in) if isinstance(read.module, nn.Linear) else (d_in, d_out)
    return tuple(read.module.weight.shape) == shape


def _in(part: Tensor, whole: Tensor) -> bool:
    return part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape


def _fused(read: LinearCall, q: Tensor, k: Tensor, v: Tensor) -> _Split | None:
    """One module for all three: [Q | K | V], or every key/value head's queries, key and value side by side."""
    h, h_kv, d_k = q.shape[1], k.shape[1], q.shape[3]
    alike = k.shape[3] == v.shape[3] == d_k and h % h_kv == 0
    if not alike or read.width != (h + 2 * h_kv) * d_k or not _in(v, read.result):
        return None
    start, step, groups = v.storage_offset() - read.result.storage_offset(), v.stride(1), h // h_kv
    of = dict.fromkeys("qkv", read)
    if start == (h + h_kv) * d_k and (step == d_k or h_kv == 1):
        at = {"q": (0, h), "k": (h * d_k, h_kv), "v": (start, h_kv)}
        return of, {name: ColumnSlice(read.module, first, d_k, count, d_k) for name, (first, count) in at.items()}
    if start == (groups + 1) * d_k and step == (groups + 2) * d_k:
        at = {"q": (0, groups * d_k), "k": (groups * d_k, d_k), "v": (start, d_k)}
        return of, {name: ColumnSlice(read.module, first, step, h_kv, width) for name, (first, width) in at.items()}
    return None


def _apart(reads: list[LinearCall], q: Tensor, k: Tensor, v: Tensor) -> _Split | None:
    """A module each: the one whose result v (k, q) is a view of, else the one whose turn it is."""
    tensors = {"q": q, "k": k, "v": v}
    if len(reads) != 3:
        return None
    left, of = list(reads), {}
    for name in "vkq":
        viewed = next((read for read in left if _in(tensors[name], read.result)), None)
        if viewed is not None:
            of[name] = viewed
            left.remove(viewed)
    of |= dict(zip((name for name in "qkv" if name not in of), left, strict=True))
    parts = {}
    for name, tensor in tensors.items():
        heads, width = tensor.shape[1], tensor.shape[3]
        if of[name].width != heads * width:
            return None
        parts[name] = ColumnSlice(of[name].module, 0, width, heads, width)
    return of, parts


def _norm(module: nn.Module, name: str) -> nn.Module | None:
    """The norm that an attention module applies to its queries or keys (q_norm, k_layernorm, …)."""
    found = [m for label, m in module.named_children() if label.startswith(name) and "norm" in label.lower()]
    weight = getattr(found[0], "weight", None) if len(found) == 1 else None
    return found[0] if weight is not None and weight.dim() == 1 and _epsilon(found[0]) is not None else None


def _epsilon(norm: nn.Module) -> float | None:
    value = next((getattr(norm, name) for name in ("variance_epsilon", "eps") if hasattr(norm, name)), None)
    return float(value) if isinstance(value, int | float) else None


def _gain(norm: nn.Module) -> Tensor:
    """γ as it multiplies: Gemma keeps γ − 1. A row of ones is told from the norm itself, not from its name."""
    weight = offload.parameter(norm, "weight").detach()
    if isinstance(norm, nn.LayerNorm):
        return host(weight)
    with torch.no_grad():
        ones = norm(torch.ones(1, weight.shape[0], dtype=weight.dtype, device=weight.device))[0]
    plain, more = ((ones - gain).abs().max() for gain in (weight, 1 + weight))
    return host(weight if plain <= more else 1 + weight)


def keep(source: QKVSource, site: str, tensors: dict[str, Tensor], store: MemoryStore) -> None:
    """Put X, Y, the rotation and the parameters under the names that `model.trace.trace.Trace` gives them."""
    tensors[f"{site}.input"] = source.x.detach().reshape(-1, source.x.shape[-1])
    if source.y is not source.x:
        memory = source.y.detach().reshape(-1, source.y.shape[-1])
        known = tensors.setdefault("encoder.output", memory) if site.endswith(".cross") else None
        if known is None or not _same(known, memory):  # as a rule all layers read the encoder's one output
            tensors[f"{site}.memory"] = memory
    for name, part in source.parts.items():
        letter, read = name.upper(), source.x if name == "q" else source.y
        store.add_lazy(f"parameters/{site}.W_{letter}", (read.shape[-1], part.columns), part.weight)
        if part.module.bias is not None:
            store.add_lazy(f"parameters/{site}.b_{letter}", (part.columns,), part.bias)
    for name, norm in source.norms.items():
        width = tuple(norm.weight.shape)
        store.add_lazy(f"parameters/{site}.gamma_{name}", width, lambda norm=norm: _gain(norm))
        tensors[f"parameters/{site}.epsilon_{name}"] = torch.tensor([_epsilon(norm)], dtype=torch.float64)
        if isinstance(norm, nn.LayerNorm):
            tensors[f"parameters/{site}.beta_{name}"] = _shift(norm)
    if source.rotary is not None:
        _keep_rotary(source.rotary, site, tensors)


def _shift(norm: nn.LayerNorm) -> Tensor:
    """β; zeros where the norm has none, because β is what tells this norm from one of the root mean square."""
    beta = offload.parameter(norm, "bias")
    return torch.zeros(norm.weight.shape) if beta is None else host(beta.detach())


def _keep_rotary(pair: tuple[Tensor, Tensor], site: str, tensors: dict[str, Tensor]) -> None:
    """One table serves many layers: it is kept once a stack, and each site says which is its own."""
    stack, number = site.partition(".")[0], 0
    cos, sin = (part[0].detach() for part in pair)
    while (known := tensors.get(f"{stack}.rotary.{number}.cos")) is not None and not _same(known, cos):
        number += 1
    tensors |= {f"{stack}.rotary.{number}.cos": cos, f"{stack}.rotary.{number}.sin": sin}
    tensors[f"{site}.rotary"] = torch.tensor([number])
