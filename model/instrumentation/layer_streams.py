"""The residual stream of a foreign module: input and output of each numbered module that ran attention and added to its input.

Only such a module hands on a residual stream: its output is made of its input by sums (and norms) alone, and what its
attention gave is one of the summands. Where the sum is made outside (x = x + attention(norm(x)) around it), what it reads is
a normalised copy and what it gives is an addition; neither is the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.descent import Descent
from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.recorder import RANDOM, VIEWS, Frame, Operation, first_output, tensors_in

_SUMS = {"add", "sub", "addmm", "baddbmm", "addcmul"}
_NORMS = {"native_layer_norm", "_fused_rms_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit"}
# What leaves a stream a stream. Norms written by hand are products and sums. A matrix product ends it.
_KEEPS = VIEWS | RANDOM | _NORMS | _SUMS | {"mul", "div", "clamp", "clamp_min", "clamp_max", "masked_fill", "where"}
_FIRST_ONLY = _NORMS | {"addmm", "baddbmm", "addcmul"}  # their other arguments are factors, or scales and shifts


@dataclass(eq=False)
class Layer:
    """A numbered module that ran attention: its attention calls, its input (`read`) and its output (`out`)."""

    path: str
    calls: list[AttentionCall]
    read: Tensor | None
    out: Tensor | None


@dataclass(eq=False)
class _Open:
    """A running numbered module: how many calls there were before it, copies of its floating inputs, and its number."""

    start: int
    inputs: list[Tensor]
    number: int


# (a running module's number, which of its inputs, whether what its attention gave was added)
_Carried = frozenset[tuple[int, int, bool]]


@dataclass(eq=False)
class LayerStreams:
    """Collects the layers of one forward; `calls` are those so far, head by head where they were computed so."""

    calls: list[AttentionCall]
    descent: Descent
    layers: list[Layer] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _carried: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)

    def entered(self, frame: Frame) -> None:
        if not _numbered(frame):
            return
        leaves = tree_leaves((frame.args, frame.kwargs))
        floating = (leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point())
        read = list({id(tensor): tensor for tensor in floating}.values())  # layer(x, x, x) has one input
        # Copies: x += attention(x) changes the input itself.
        self._open.append(_Open(len(self.calls), [tensor.detach().clone() for tensor in read], frame.number))
        for place, tensor in enumerate(read):
            self._carried[tensor] = self._of(tensor) | {(frame.number, place, False)}

    def see(self, operation: Operation) -> None:
        """Follow every operator: which tensors are an input of a running module with something added."""
        if not self._open or operation.name not in _KEEPS:
            return
        values = operation.args[:1] if operation.name in _FIRST_ONLY else operation.args
        running = {opened.number: opened.start for opened in self._open}
        carried = frozenset().union(*map(self._of, tensors_in(values)))
        found: _Carried = frozenset(each for each in carried if each[0] in running)
        if not found:
            return
        if operation.name in _SUMS:
            found = frozenset(self._summed(each, operation.args, running[each[0]]) for each in found)
        for result in tensors_in(operation.result[:1] if operation.name in _NORMS else (operation.result,)):
            self._carried[result] = found

    def _summed(self, carried: tuple[int, int, bool], summands: Sequence[object], start: int) -> tuple[int, int, bool]:
        """The same after a sum: whether another summand was made by the module's own attention, the calls from `start` on."""
        number, place, added = carried
        own = {("call", call.place) for call in self.calls[start:]}
        for summand in tensors_in(summands):
            if all(each[:2] != (number, place) for each in self._of(summand)):
                added = added or bool(own & self.descent.of(summand))
        return number, place, added

    def _of(self, tensor: Tensor) -> _Carried:
        return self._carried.get(tensor, frozenset())

    def left(self, frame: Frame, out: object) -> None:
        if not _numbered(frame):
            return
        opened = self._open.pop()
        inside, first = self.calls[opened.start :], first_output(out)
        if not inside or first is None:
            return
        added = [place for number, place, sums in self._of(first) if number == opened.number and sums]
        read = [each for place in added if (each := opened.inputs[place]).shape == first.shape]
        given = first.detach().clone()
        # Of two inputs that were both added to (positions that each layer adds once more) neither is told to be the stream.
        read, given = (read[0], given) if len(read) == 1 else (None, None)
        self.layers.append(Layer(frame.name, inside, read, given))

    def streams(self, sites: dict[str, AttentionCall]) -> dict[str, Tensor]:
        """`{stack}.0.stream`, what the first layer read, and `{stack}.{i + 1}.stream`, what layer i handed on: [n, d]."""
        tensors: dict[str, Tensor] = {}
        read: dict[str, Tensor] = {}
        for name, call in sites.items():
            stack, layer, kind = name.split(".")
            around = [frame for frame in self.layers if _ran_in(frame, call)]
            frames = [frame for frame in around if self._one_of_a_kind(frame, sites)]
            if not frames or call.beside or (kind == "cross" and f"{stack}.{layer}.self" in sites):
                continue
            frame, n = frames[-1], call.q.shape[1]  # the outermost one ends last
            for found, at, tensor in ((read, int(layer), frame.read), (tensors, int(layer) + 1, frame.out)):
                if tensor is not None and tensor.dim() >= 2 and tensor.numel() == n * tensor.shape[-1]:
                    found[f"{stack}.{at}.stream"] = tensor.reshape(n, -1)
        # Where something stands between two layers (a norm, another order) a difference of streams is not what a layer did.
        apart = {name.split(".")[0] for name in read.keys() & tensors.keys() if not _same(read[name], tensors[name])}
        # The layer before may hold no attention (a hybrid's): what this one read is what that one handed on.
        return {name: tensor for name, tensor in (read | tensors).items() if name.split(".")[0] not in apart}

    def _one_of_a_kind(self, frame: Layer, sites: dict[str, AttentionCall]) -> bool:
        """Whether a numbered module is one layer: one self- and one cross-attention ran in it, and others beside them."""
        inside = [name for name, call in sites.items() if _ran_in(frame, call) and not call.beside]
        kinds = [name.rpartition(".")[2] for name in inside]
        return len(set(kinds)) == len(kinds)


def _ran_in(frame: Layer, call: AttentionCall) -> bool:
    """Whether the whole of a call, every head of it, ran in a module."""
    ran = set(map(id, frame.calls))
    return id(call) in ran or (bool(call.heads) and all(id(part) in ran for part in call.heads))


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _numbered(frame: Frame) -> bool:
    return frame.name.rpartition(".")[2].isdigit()
