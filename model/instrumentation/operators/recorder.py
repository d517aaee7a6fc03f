"""What a forward computes, operator by operator: a PyTorch dispatch mode below autograd.

Every attention is one of two shapes there:

    a fused kernel      _scaled_dot_product_…(q, k, v)              which also returns the log-sum-exp of each row
    two matrix products bmm(q, kᵀ) → scale, mask, bias → softmax → bmm(weights, v)

The recorder keeps no tensor itself. It hands each operator and its result on, and knows which modules are running.

Foreign modules (`model.instrumentation.module_reader`) and the library's models outside its attention registry
(`model.checkpoints.record.score_trace`) share recorder, tracker, views and kernels. Three things stay apart, on purpose:

    a row masked at every key   foreign: the weights that the module really used, even ones where its softmax gave them,
                                since its output is made of them. Library: such a row is padding and attends nothing.
    scores that cannot be read  foreign: the rest of each score is kept as its bias, as nobody else can say what they are.
                                Library: refused, as a position term taken for a bias would be a wrong record.
    names of cross-attention    foreign: the wider list of `name_sites`, held against q's and k's sources.
                                Library: `Family.cross_attention`, since within a family the names are known.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

# Operators that only move numbers: those that give a tensor of the same shape and order, all that reshape, the others.
COPIES = {"alias", "detach", "clone", "contiguous", "_to_copy", "lift_fresh", "lift"}
RESHAPES = {"view", "_unsafe_view", "reshape", "_reshape_alias"}
VIEWS = COPIES | RESHAPES | {
    "expand", "permute", "transpose", "t", "unsqueeze", "squeeze", "select", "slice", "split", "split_with_sizes",
    "unbind", "narrow", "movedim", "unflatten", "chunk",
}  # fmt: skip
PRODUCTS = {"bmm": 0, "mm": 0, "mv": 0, "baddbmm": 1, "addmm": 1}  # name -> where its two factors begin
RANDOM = {"bernoulli", "native_dropout"}
SOFTMAX = {"_softmax", "_safe_softmax"}
KERNELS = (
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_fused_attention_overrideable",
)  # fmt: skip
_recording: ContextVar[OperatorRecorder | None] = ContextVar("operator recorder", default=None)


@dataclass(slots=True, eq=False)
class Operation:
    """One operator that ran. `name` has no namespace, no overload and no underscore of what works in place."""

    func: Any
    name: str
    args: tuple
    kwargs: dict[str, Any]
    result: Any

    @property
    def in_place(self) -> bool:
        return self.func._schema.is_mutable

    @property
    def is_kernel(self) -> bool:
        return self.name.startswith(KERNELS)

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """What a matrix product multiplies."""
        first = PRODUCTS[self.name]
        return self.args[first], self.args[first + 1]

    def named(self) -> dict[str, Any]:
        """The arguments by their names."""
        return {a.name: value for a, value in zip(self.func._schema.arguments, self.args, strict=False)} | self.kwargs


@dataclass(eq=False)
class Frame:
    """One running call of a module, by its dotted path: its inputs as they came; `softmaxes` is for who counts them.

    number: which call of a module this is in the forward, so that two of one module are told apart.
    """

    name: str
    module: nn.Module
    args: tuple
    kwargs: dict[str, Any]
    softmaxes: int = 0
    number: int = 0


def first_output(out: object) -> Tensor | None:
    """The tensor that a module gave, or the first of several; None where that is none."""
    first = out[0] if isinstance(out, tuple | list) and out else out
    return first if isinstance(first, Tensor) else None


def tensors_in(values: Iterable[object]) -> Iterator[Tensor]:
    """The tensors among the arguments of an operator, or its results, those in lists too."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from tensors_in(value)


@cache
def _name(func: Any) -> str:
    name = func._schema.name.removeprefix("aten::")
    return name.removesuffix("_") or name


class OperatorRecorder(TorchDispatchMode):
    """Each of `followers` is called with every operator that this thread runs inside the `with` block.

    parameters: those of the module, by which a layer's matrix product is told from one of attention. bare: those of them
    that no layer of PyTorch holds, which may be queries themselves.
    """

    def __init__(self, parameters: Iterable[Tensor] = (), bare: Iterable[Tensor] = ()):
        super().__init__()
        self.followers: list[Callable[[Operation], None]] = []
        self.frames: list[Frame] = []
        self._parameters = {memory_of(parameter) for parameter in parameters}
        self._bare = {memory_of(parameter) for parameter in bare}
        self._copies = WeakTensorKeyDictionary()  # of parameters, as an einsum over axes of size 1 makes them

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # there, composite operators arrive whole
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        operation = Operation(func, _name(func), args, kwargs, result)
        if operation.name in VIEWS and isinstance(args[0], Tensor) and self.is_parameter(args[0]):
            for each in tensors_in((result,)):
                self._copies[each] = True
        for follow in self.followers:
            follow(operation)
        return result

    def is_parameter(self, tensor: Tensor) -> bool:
        """Whether it is a parameter, a view of one, or a copy."""
        return memory_of(tensor) in self._parameters or tensor in self._copies

    def may_be_queries(self, left: Tensor, right: Tensor) -> bool:
        """Whether one of two factors is a parameter that may be queries itself: on the left, or held by no layer of PyTorch."""
        first, second = self.is_parameter(left), self.is_parameter(right)
        return first != second and (first or memory_of(right) in self._bare)

    @property
    def innermost(self) -> str:
        """The dotted name of the module that runs, "" where none is known."""
        return self.frames[-1].name if self.frames else ""

    @property
    def path(self) -> list[tuple[str, str]]:
        """Dotted names and classes of the running modules, outermost first."""
        return [(frame.name, type(frame.module).__name__) for frame in self.frames]


def memory_of(tensor: Tensor) -> int:
    """Where the numbers of a tensor lie, the same for all views of it."""
    return tensor.untyped_storage().data_ptr()


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
def active(recorder: OperatorRecorder) -> Iterator[None]:
    """Record what this thread runs inside the block, once; a recording around it rests, its hooks too."""
    token = _recording.set(recorder)
    try:
        with torch.no_grad(), recorder:
            yield
    finally:
        _recording.reset(token)
        recorder.followers.clear()  # they know their recorder: nothing that they hold waits for the garbage collector


@contextmanager
def record_operators(
    module: nn.Module,
    recorder: OperatorRecorder,
    entered: Callable[[Frame], None] = lambda frame: None,
    left: Callable[[Frame, object], None] = lambda frame, out: None,
) -> Iterator[None]:
    """Record the forwards of `module` that this thread makes inside the block; everything comes off at its end.

    entered(frame) and left(frame, result) are called around every call of a part of the module.
    """
    names = {part: name for name, part in module.named_modules()}
    numbers = itertools.count(1)

    # The hooks hang on the module, which another thread may be running for a recorder of its own: for an instant it may be called
    # without the keywords, which PyTorch notes after the hook.
    def enter(part: nn.Module, args: tuple, kwargs: dict | None = None) -> None:
        if _recording.get() is recorder:
            recorder.frames.append(Frame(names[part], part, args, kwargs or {}, number=next(numbers)))
            entered(recorder.frames[-1])

    def leave(part: nn.Module, _args: tuple, out: object) -> None:
        if _recording.get() is recorder and recorder.frames and recorder.frames[-1].module is part:
            left(recorder.frames.pop(), out)

    # PyTorch's own modules without parts (linear layers, norms) run no attention: they are not worth two calls each.
    parts = [p for p in names if next(p.children(), None) or not type(p).__module__.startswith("torch.nn.")]
    handles = []
    try:
        for part in parts:
            handles.append(part.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(part.register_forward_hook(leave, always_call=True))
        with active(recorder):
            yield
    finally:
        for handle in handles:
            handle.remove()
        recorder.frames.clear()
