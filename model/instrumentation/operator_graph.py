"""What any PyTorch module computes, operator by operator: attention found in it, whoever wrote the module.

Below autograd every attention is one of two shapes, and both are seen by a dispatch mode:

    a fused kernel      _scaled_dot_product_…(q, k, v)              which also returns the log-sum-exp of each row
    two matrix products bmm(q, kᵀ) → scale, mask, bias → softmax → bmm(weights, v)

Operators are kept as a graph only until the output projection of an attention is found, so a long forward does not
hold its activations.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = {
    "view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "permute", "transpose", "t", "unsqueeze", "squeeze",
    "alias", "detach", "clone", "contiguous", "_to_copy", "select", "slice", "split", "split_with_sizes", "unbind",
    "lift_fresh", "narrow", "movedim", "unflatten", "chunk", "lift",
}  # fmt: skip
PRODUCTS = {"bmm": 0, "mm": 0, "baddbmm": 1, "addmm": 1}  # name -> where its two factors begin
SOFTMAX = {"_softmax", "_safe_softmax"}
KERNELS = (
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_fused_attention_overrideable",
)  # fmt: skip
# Nothing of an attention is made by these, and their inputs would be kept for nothing.
_HEAVY = ("convolution", "batch_norm", "native_batch_norm", "max_pool", "avg_pool", "native_dropout")


@dataclass(eq=False)
class Node:
    """One tensor and the operator that made it; `name` is "" for what came from outside.

    parents: (position among the operator's arguments, or −1 inside a list; the node), in order. index: which of several
    results. `used` marks a softmax whose product with the values has been found.
    """

    out: Tensor
    name: str = ""
    func: Any = None
    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    parents: list[tuple[int, Node]] = field(default_factory=list)
    index: int | None = None
    used: bool = False

    def again(self, position: int, value: Tensor) -> Tensor:
        """The same operator with `value` in place of the argument at `position`."""
        args = [value if i == position else argument for i, argument in enumerate(self.args)]
        made = self.func(*args, **self.kwargs)
        return made if self.index is None else made[self.index]


@dataclass(eq=False)
class Raw:
    """One attention as found, before it is read.

    path: dotted names and classes of the running modules, outermost first. Fused: `kernel` holds the arguments by name
    and `lse`. Two products: `weights` is the softmax, `chain` the nodes from the product of q and k to its input and
    `after` those from its output to the left factor of the second product; `swapped` where that is the right factor.
    """

    path: list[tuple[str, str]]
    context: Node
    kernel: dict[str, Any] | None = None
    lse: Tensor | None = None
    weights: Node | None = None
    chain: list[Node] = field(default_factory=list)
    after: list[tuple[int, Node]] = field(default_factory=list)
    swapped: bool = False


class Listening(TorchDispatchMode):
    """Hears one forward on the thread that made it. `heard(raw)` is called for each attention, as it ends, and
    `after(node)` for every operator."""

    def __init__(self, module: nn.Module, listener: Any):
        super().__init__()
        self.nodes: dict[int, Node] = {}
        self.path: list[tuple[str, str]] = []
        self.listener = listener
        self._parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # there, composite operators arrive whole
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        made = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        if not name.startswith(_HEAVY):
            self._note(func, name, args, kwargs, made)
        return made

    def node(self, tensor: Tensor) -> Node:
        found = self.nodes.get(id(tensor))
        if found is None or found.out is not tensor:
            found = self.nodes[id(tensor)] = Node(tensor)
        return found

    def is_parameter(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._parameters

    def forget(self) -> None:
        """Let go of every operator so far."""
        self.nodes.clear()

    def _note(self, func: Any, name: str, args: tuple, kwargs: dict[str, Any], made: object) -> None:
        parents = [(i, self.node(a)) for i, a in enumerate(args) if isinstance(a, Tensor)]
        for argument in args:
            if isinstance(argument, list | tuple):
                parents += [(-1, self.node(item)) for item in argument if isinstance(item, Tensor)]
        several = isinstance(made, tuple | list)
        name = name if name == "_to_copy" else name.removesuffix("_") or name
        fused = name.startswith(KERNELS)
        for index, out in enumerate(made if several else (made,)):
            if not isinstance(out, Tensor) or (several and name == "native_layer_norm" and index):
                continue
            node = Node(out, name, func, args, kwargs, parents, index if several else None)
            self.nodes[id(out)] = node
            if fused:
                named = {a.name: value for a, value in zip(func._schema.arguments, args, strict=False)} | kwargs
                self.listener.heard(Raw(list(self.path), node, kernel=named, lse=made[1]))
                break
            if name in PRODUCTS:
                self._second_product(node)
            self.listener.after(node)

    def _second_product(self, node: Node) -> None:
        first = PRODUCTS[node.name]
        for position in (first, first + 1):
            source = next(parent for at, parent in node.parents if at == position)
            weights, after = _softmax_before(source)
            if weights is None or weights.used:
                continue
            chain = self._first_product(weights.parents[0][1], weights.out.numel(), set())
            if chain is None:
                continue
            weights.used = True
            self.listener.heard(Raw(list(self.path), node, weights=weights, chain=chain, after=after,
                                    swapped=position != first))  # fmt: skip
            return

    def _first_product(self, node: Node, size: int, seen: set[int]) -> list[Node] | None:
        """The nodes from the product of q and k to `node`, or None where no such product leads there."""
        if id(node) in seen or node.out.numel() != size or node.name in SOFTMAX:
            return None
        seen.add(id(node))
        if node.name in PRODUCTS:
            first = PRODUCTS[node.name]
            factors = [parent.out for at, parent in node.parents if at in (first, first + 1)]
            # A product with a parameter is a layer: a router or a gate, whose softmax is over its own outputs.
            return None if any(map(self.is_parameter, factors)) else [node]
        for at, parent in node.parents:
            path = self._first_product(parent, size, seen) if at >= 0 else None
            if path is not None:
                return [*path, node]
        return None

    def sources(self, node: Node) -> set[tuple[int, int]]:
        """What the projections (products with a parameter) that `node` comes from were applied to."""
        found, todo, seen = set(), [node], set()
        while todo:
            now = todo.pop()
            if id(now) in seen:
                continue
            seen.add(id(now))
            first = PRODUCTS.get(now.name)
            factors = [parent for at, parent in now.parents if first is not None and at in (first, first + 1)]
            if factors and any(self.is_parameter(factor.out) for factor in factors):
                data = next((factor for factor in factors if not self.is_parameter(factor.out)), factors[0])
                found.add(_origin(data))
            elif now.name not in SOFTMAX and not now.name.startswith(KERNELS):
                todo += [parent for _, parent in now.parents]
        return found


def _origin(node: Node) -> tuple[int, int]:
    """Which memory `node` was taken from: through views, copies and a layer norm."""
    while node.name in VIEWS or node.name == "native_layer_norm":
        node = node.parents[0][1]
    return node.out.data_ptr(), node.out.numel()


def _softmax_before(node: Node) -> tuple[Node | None, list[tuple[int, Node]]]:
    after: list[tuple[int, Node]] = []
    while node.name in VIEWS:
        after.insert(0, (node.parents[0][0], node))
        node = node.parents[0][1]
    return (node, after) if node.name in SOFTMAX else (None, [])


_fast = threading.Lock()
_slow_runs = 0
_was_fast = True


@contextmanager
def slow_path() -> Iterator[None]:
    """nn.TransformerEncoder and nn.MultiheadAttention run their parts one by one inside the block, not as one operator.

    The switch belongs to the process: it is counted, so that runs of several threads restore it once, at the last end.
    """
    global _slow_runs, _was_fast
    with _fast:
        if _slow_runs == 0:
            _was_fast = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
        _slow_runs += 1
    try:
        yield
    finally:
        with _fast:
            _slow_runs -= 1
            if _slow_runs == 0:
                torch.backends.mha.set_fastpath_enabled(_was_fast)


@contextmanager
def listening(module: nn.Module, listener: Any) -> Iterator[Listening]:
    """Hear the forwards of `module` that this thread makes inside the block; everything comes off at its end."""
    mode = Listening(module, listener)
    names = {part: name for name, part in module.named_modules()}
    own = threading.get_ident()

    def enter(part: nn.Module, args: tuple) -> None:
        if threading.get_ident() == own:
            mode.path.append((names[part], type(part).__name__))
            listener.entered(args)

    def leave(part: nn.Module, _args: tuple, out: object) -> None:
        if threading.get_ident() == own and mode.path and mode.path[-1][0] == names[part]:
            listener.left(mode.path.pop()[0], out)

    handles = []
    try:
        for part in names:
            handles.append(part.register_forward_pre_hook(enter))
            handles.append(part.register_forward_hook(leave, always_call=True))
        with slow_path(), torch.no_grad(), mode:
            yield mode
    finally:
        for handle in handles:
            handle.remove()
