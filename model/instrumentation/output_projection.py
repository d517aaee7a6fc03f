"""What follows each attention of a foreign module: its output projection, heads put together, the layer's output."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.instrumentation.attention_call import Call, read_kernel, read_products
from model.instrumentation.operator_graph import PRODUCTS, VIEWS, Listening, Node, Raw


@dataclass(eq=False)
class Layer:
    """A numbered module that ran attention: the calls of it and what it read and handed on."""

    path: str
    calls: list[Call]
    read: Tensor | None
    out: Tensor | None


@dataclass(eq=False)
class Watch:
    """Collects the calls of one forward. Contexts are followed by identity from operator to operator."""

    mode: Listening | None = None
    calls: list[Call] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    _contexts: dict[int, tuple[Tensor, Call]] = field(default_factory=dict)
    _outputs: dict[int, tuple[Tensor, Call]] = field(default_factory=dict)
    _open: list[tuple[int, Tensor | None]] = field(default_factory=list)
    _order: list[Call] = field(default_factory=list)
    ambiguous: bool = False  # an axis before queries and keys was met that may count heads or examples

    def heard(self, raw: Raw) -> None:
        call = read_products(raw) if raw.kernel is None else read_kernel(raw)
        if raw.weights is not None and raw.weights.out.dim() >= 3:
            self.ambiguous |= raw.weights.out.dim() == 3 or raw.weights.out.shape[0] != 1
        call.from_elsewhere = self._from_elsewhere(raw)
        self.calls.append(call)
        self._order.append(call)
        self._contexts[id(raw.context.out)] = (raw.context.out, call)
        self._outputs.clear()

    def _from_elsewhere(self, raw: Raw) -> bool | None:
        if raw.kernel is not None:
            queries, keys = (self.mode.node(raw.kernel[name]) for name in ("query", "key"))
        else:
            first = PRODUCTS[raw.chain[0].name]
            queries, keys = (parent for at, parent in raw.chain[0].parents if at in (first, first + 1))
        asked, given = self.mode.sources(queries), self.mode.sources(keys)
        return not (asked & given) if asked and given else None

    def after(self, node: Node) -> None:
        """Follow the contexts and outputs through one operator."""
        if node.name in VIEWS:
            before = node.parents[0][1].out if node.parents else None
            for followed in (self._contexts, self._outputs):
                found = _of(followed, before)
                if found is not None and node.out.numel() == before.numel():
                    followed[id(node.out)] = (node.out, found)
        elif node.name in ("cat", "stack"):
            self._together(node)
        elif node.name in PRODUCTS:
            self._projection(node)
        elif node.name == "add" and len(node.parents) == 2:
            self._bias(node)

    def _projection(self, node: Node) -> None:
        first = PRODUCTS[node.name]
        data, weight = (node.args[first + i] for i in (0, 1))
        call = _of(self._contexts, data)
        if call is None or call.projection is not None or (weight.dim() == 3 and weight.shape[0] != 1):
            return
        weight = weight[0] if weight.dim() == 3 else weight
        rows = data.reshape(-1, data.shape[-1])
        ordered = _in_order(call.context, rows, weight)
        bias = node.args[0] if node.name == "addmm" else None
        if ordered is None or (bias is not None and bias.dim() != 1):
            return
        call.projection = ordered.detach()
        call.projection_bias = bias.detach() if bias is not None else None
        call.output = node.out.reshape(-1, node.out.shape[-1]).clone()
        # What was computed so far explains this attention and no later one.
        self.mode.forget()
        self._contexts.clear()
        if bias is None:
            self._outputs[id(node.out)] = (node.out, call)

    def _bias(self, node: Node) -> None:
        """x W_O + b in two operators, where a linear layer reads memory that is not contiguous."""
        (_, left), (_, right) = node.parents
        call = _of(self._outputs, left.out)
        if call is None or call.projection_bias is not None:
            return
        if right.out.dim() == 1 and self.mode.is_parameter(right.out):
            call.projection_bias = right.out.detach()
            call.output = node.out.reshape(-1, node.out.shape[-1]).clone()
        self._outputs.clear()

    def _together(self, node: Node) -> None:
        """Heads that were computed one by one and are concatenated here become one call."""
        calls = [_of(self._contexts, parent.out) for _, parent in node.parents]
        if len(calls) < 2 or None in calls or len(set(map(id, calls))) < len(calls):
            return
        merged = _merge(calls)
        if merged is None:
            return
        self.calls = [merged if call is calls[0] else call for call in self.calls if call is calls[0] or
                      all(call is not part for part in calls)]  # fmt: skip
        self._contexts[id(node.out)] = (node.out, merged)

    def entered(self, args: tuple) -> None:
        read = next((a for a in args if isinstance(a, Tensor) and a.is_floating_point()), None)
        self._open.append((len(self._order), read))

    def left(self, path: str, out: object) -> None:
        start, read = self._open.pop()
        heard = self._order[start:]
        if heard and path.rpartition(".")[2].isdigit():
            out = out[0] if isinstance(out, tuple | list) and out else out
            out = out.detach().clone() if isinstance(out, Tensor) else None
            self.layers.append(Layer(path, list(heard), read, out))

    def streams(self, sites: dict[str, Call]) -> dict[str, Tensor]:
        """`{stack}.0.stream`, what the first layer read, and `{stack}.{i + 1}.stream`, what layer i handed on: [n, d]."""
        tensors: dict[str, Tensor] = {}
        for name, call in sites.items():
            stack, layer, kind = name.split(".")
            around = [frame for frame in self.layers if _ran_in(frame, call)]
            frames = [frame for frame in around if self._one_of_a_kind(frame, sites)]
            if not frames or (kind == "cross" and f"{stack}.{layer}.self" in sites):
                continue
            frame, n = frames[-1], call.q.shape[1]  # the outermost one ends last
            places = [(f"{stack}.{int(layer) + 1}.stream", frame.out)]
            places += [(f"{stack}.0.stream", frame.read)] if layer == "0" else []
            for place, tensor in places:
                if tensor is not None and tensor.dim() >= 2 and tensor.numel() == n * tensor.shape[-1]:
                    tensors[place] = tensor.reshape(n, -1)
        return tensors

    def _one_of_a_kind(self, frame: Layer, sites: dict[str, Call]) -> bool:
        """Whether a numbered module is one layer: at most one self- and one cross-attention ran in it."""
        inside = [name for name, call in sites.items() if _ran_in(frame, call)]
        kinds = [name.rpartition(".")[2] for name in inside]
        return len(set(kinds)) == len(kinds)


def _ran_in(frame: Layer, call: Call) -> bool:
    """Whether the whole of a call, every head of it, ran in a module."""
    ran = set(map(id, frame.calls))
    return id(call) in ran or (bool(call.parts) and all(id(part) in ran for part in call.parts))


def _of(followed: dict[int, tuple[Tensor, Call]], tensor: object) -> Call | None:
    tensor_and_call = followed.get(id(tensor))
    return tensor_and_call[1] if tensor_and_call is not None and tensor_and_call[0] is tensor else None


def _in_order(context: Tensor, rows: Tensor, weight: Tensor) -> Tensor | None:
    """W_O with its rows head by head, where `rows` [q, ·] is the context [h, q, d_v] head by head or turned; else None."""
    heads, queries, width = context.shape
    if rows.shape != (queries, heads * width) or weight.shape[0] != heads * width:
        return None
    if torch.equal(rows.nan_to_num(), context.transpose(0, 1).reshape(queries, -1).nan_to_num()):
        return weight
    if torch.equal(rows.nan_to_num(), context.permute(1, 2, 0).reshape(queries, -1).nan_to_num()):
        return weight.reshape(width, heads, -1).transpose(0, 1).reshape(heads * width, -1)
    return None


def _merge(calls: list[Call]) -> Call | None:
    """Several calls as the heads of one, or None where they differ in anything but their numbers."""
    first = calls[0]
    n, m = first.q.shape[1], first.k.shape[1]
    allowed = first.mask.allowed(n, m)
    for call in calls[1:]:
        shapes = [(t.shape[1:], u.shape[1:]) for t, u in ((call.q, first.q), (call.k, first.k), (call.v, first.v))]
        if any(a != b for a, b in shapes) or (call.scale, call.softcap) != (first.scale, first.softcap):
            return None
        if not torch.equal(call.mask.allowed(n, m), allowed) or (call.bias is None) != (first.bias is None):
            return None
    if any(call.k.shape[0] != call.q.shape[0] for call in calls):
        return None
    join = {name: torch.cat([getattr(call, name) for call in calls]) for name in ("q", "k", "v", "context", "lse")}
    bias = None if first.bias is None else torch.cat([c.bias.expand(c.q.shape[0], n, m) for c in calls])
    shared = [pair for pair in first.path if all(pair in call.path for call in calls)]
    elsewhere = first.from_elsewhere
    return Call(shared, scale=first.scale, mask=first.mask, bias=bias, softcap=first.softcap, from_elsewhere=elsewhere,
                parts=calls, **join)  # fmt: skip
