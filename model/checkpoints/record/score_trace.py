"""Recording models that do not go through the library's attention registry, by watching what they multiply.

During the one forward a dispatch mode follows q · kᵀ to W_O (`score_chain`). What was added in between is kept as a mask
and a bias an offset where it is one; where it is neither (DeBERTa, XLNet), the attention module and its inputs are kept
(O(n · d)), and the bias is made when it is asked for, by running that one module again up to its softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map

from model.checkpoints.record.packed_inputs import Packing, unpack
from model.checkpoints.record.score_notes import HALF, Attended, Scores
from model.checkpoints.record.score_ops import Chain
from model.checkpoints.record.score_terms import Settled, settle
from model.jobs.progress import tick
from model.transformer.masks import DenseMask, IntervalMask, RuleMask, compress

_watching: ContextVar[Watch | None] = ContextVar("watching", default=None)
_TOLERANCE = 1e-3


@dataclass(eq=False)
class Frame:
    """One running call of a module: its inputs as they came, and how many softmaxes were heard in it so far."""

    module: nn.Module
    args: tuple
    kwargs: dict
    heard: int = 0


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of one softmax; `again` makes a dense bias [h, q, k] once more."""

    mask: RuleMask | IntervalMask | DenseMask
    parts: dict[str, Tensor]  # "bias_offsets" or "bias", "lse"
    name: str
    again: Callable[[], Tensor] | None = None


class _Reached(Exception):
    def __init__(self, settled: Settled, lse: Tensor | None):
        self.settled, self.lse = settled, lse


@dataclass(eq=False)
class Watch:
    """What is heard in one forward; `names` maps modules to their dotted paths."""

    names: dict[nn.Module, str]
    expected: int = 0
    stop_at: int | None = None
    frames: list[Frame] = field(default_factory=list)
    packing: Packing = field(default_factory=Packing)
    unread: list[str] = field(default_factory=list)
    heard: int = 0

    def __post_init__(self) -> None:
        self.chain = Chain(self._attended, lambda: self.frames[-1] if self.frames else None)

    def enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        if _watching.get() is self:  # another thread may run the same module
            self.frames.append(Frame(module, args, kwargs))

    def leave(self, module: nn.Module, *_: object) -> None:
        if _watching.get() is self:
            self.frames.pop()

    def _attended(
        self, scores: Scores, tensor: Tensor | None, weights: Tensor | None, lse: Tensor | None
    ) -> Kept | None:
        frame = scores.owner if scores.owner in self.frames else None
        index = frame.heard if frame is not None else self.heard
        for running in self.frames:
            running.heard += 1
        self.heard += 1
        tick("layers", min(1.0, self.heard / self.expected) if self.expected else None)
        stop = self.stop_at is not None and self.heard == self.stop_at + 1
        if self.stop_at is not None and not stop:
            return None
        settled = _settled(scores)
        read = settled is not None and (tensor is None or _agrees(scores, settled, tensor, weights))
        name = self.names.get(frame.module, "") if frame is not None else ""
        if read and stop:
            raise _Reached(settled, _sums(scores, settled, tensor, weights, lse))
        if not read or (settled.dense and frame is None):
            self.unread.append(name)
            return None
        sums = _sums(scores, settled, tensor, weights, lse)
        parts = {} if sums is None else {"lse": sums}
        if settled.dense:
            return Kept(_rule(settled.allowed), parts, name, self._again(frame, index, sums))
        return Kept(_rule(settled.allowed), parts | ({settled.kind: settled.bias} if settled.kind else {}), name)

    def _again(self, frame: Frame, index: int, lse: Tensor | None) -> Callable[[], Tensor]:
        module = frame.module
        args, kwargs = tree_map(self.packing.pack, (frame.args, frame.kwargs))

        def again() -> Tensor:
            return replay(module, tree_map(unpack, args), tree_map(unpack, kwargs), index, lse)

        return again


class _Mode(TorchDispatchMode):
    def __init__(self, chain: Chain):
        super().__init__()
        self._chain = chain

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self._chain.see(func, args, kwargs or {}, result)
        return result


def _rule(allowed: Tensor) -> RuleMask | IntervalMask | DenseMask:
    if bool(allowed.all()):
        return RuleMask(False)
    square = allowed.shape[0] == allowed.shape[1]
    return (
        RuleMask(True) if square and torch.equal(allowed, allowed.new_ones(allowed.shape).tril()) else compress(allowed)
    )


def _settled(scores: Scores) -> Settled | None:
    wide = [(term.float() if term.dtype in HALF else term, weight) for term, weight in scores.terms]
    terms = [term if weight == 1 else term * weight for term, weight in wide]
    settled = settle(scores.shape, terms, list(scores.dropped))
    erased = any(bool((cells & settled.allowed).any()) for cells in scores.erased)
    return None if erased else settled


def _agrees(scores: Scores, settled: Settled, tensor: Tensor, weights: Tensor) -> bool:
    """Whether what was followed gives the weights that the model really had: checked on four rows of every head."""
    rows = torch.linspace(0, tensor.shape[1] - 1, 4).long().unique()
    wide = torch.promote_types(tensor.dtype, torch.float32)
    again = scores.scale * (scores.q[:, rows].to(wide) @ scores.k.to(wide).transpose(1, 2))
    if settled.kind == "bias_offsets":
        offsets = torch.arange(tensor.shape[2])[None] - rows[:, None] + tensor.shape[1] - 1
        again = again + settled.bias[:, offsets]
    elif settled.kind:
        again = again + settled.bias[:, rows]
    allowed = settled.allowed[rows]
    again = again.masked_fill(~allowed, -torch.inf).softmax(-1)
    real = allowed.any(-1)
    error = (again[:, real] - weights[:, rows][:, real].to(wide)).abs()
    return not error.numel() or bool(error.max() <= (0.1 if scores.rounded else _TOLERANCE))


def _sums(
    scores: Scores, settled: Settled, tensor: Tensor | None, weights: Tensor | None, lse: Tensor | None
) -> Tensor | None:
    """The log-sum-exp [h, q] of the scores of the record; None where half precision has rounded them on their way."""
    if scores.rounded or (weights is not None and weights.dtype in HALF):
        return None
    if lse is None:  # of each row's largest cell: log w = s − lse, without a second pass of exponentials
        lse = tensor.amax(-1) - weights.amax(-1).log()
    lse = lse if settled.shift is None else lse - settled.shift
    return lse.masked_fill(~settled.allowed.any(-1), 0)


def replay(module: nn.Module, args: tuple, kwargs: dict, index: int, lse: Tensor | None) -> Tensor:
    """Run one module up to its softmax number `index` -> what is added to its scores there, [h, q, k].

    Raises ValueError where the module no longer does what was recorded (its weights were changed).
    """
    watch = Watch({}, stop_at=index)
    try:
        with torch.no_grad(), _disable_current_modes(), watching(watch):
            module(*args, **kwargs)
    except _Reached as reached:
        same = lse is None or reached.lse is None or torch.allclose(lse, reached.lse, rtol=1e-4, atol=1e-4)
        if same and reached.settled.bias is not None:
            return reached.settled.bias
    raise ValueError("the model has changed since this run was recorded: its position terms cannot be made again")


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    token = _watching.set(watch)
    try:
        with _Mode(watch.chain):
            yield
    finally:
        _watching.reset(token)


@contextmanager
def watched(model: nn.Module, watch: Watch) -> Iterator[list[Attended]]:
    """Follow every attention call of the forwards inside the block."""
    handles = []
    for module in model.modules():
        if next(module.children(), None) is not None:
            handles.append(module.register_forward_pre_hook(watch.enter, with_kwargs=True))
            handles.append(module.register_forward_hook(watch.leave))
    try:
        with watching(watch):
            yield watch.chain.calls
    finally:
        for handle in handles:
            handle.remove()
        watch.frames.clear()
        watch.packing.seen.clear()
