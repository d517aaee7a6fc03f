"""Recording library models outside the attention registry, by following their matrix products operator by operator.

During the one forward their operators are followed from q · kᵀ to W_O (`model.instrumentation.operators`). What was
added in between is kept as a mask and a bias an offset where it is one; where it is neither (DeBERTa, XLNet), the
attention module and its inputs are kept (O(n · d)), and the bias is made when it is asked for, by running that module
again up to its softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map

from model.checkpoints.record.packed_inputs import Packing, unpack
from model.checkpoints.task_heads.inputs import as_taken
from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.notes import Scores
from model.instrumentation.operators.output_projection import settle
from model.instrumentation.operators.recorder import Frame, OperatorRecorder, active, record_operators
from model.instrumentation.operators.score_reader import ScoreReader
from model.instrumentation.operators.terms import ScoreTerms, log_sum_exp, reproduces, terms_of
from model.instrumentation.operators.tracker import ScoreTracker
from model.jobs.device import device_of, host
from model.jobs.progress import tick
from model.trace.mask_and_bias import simplest_mask


class _Reached(Exception):
    def __init__(self, terms: ScoreTerms, lse: Tensor | None):
        self.terms, self.lse = terms, lse


@dataclass(eq=False)
class ScoreTracer(ScoreReader):
    """Reads the softmaxes of a library model: `unread` names the modules of those whose scores cannot be told apart.

    expected: how many there will be, 0 if not known. stop_at: the softmax, counted from 0, at which the run is ended.
    """

    recorder: OperatorRecorder
    expected: int = 0
    stop_at: int | None = None
    softmaxes: int = 0
    unread: list[str] = field(default_factory=list)
    _packing: Packing = field(default_factory=Packing)

    def softmax(
        self, scores: Scores, tensor: Tensor | None, weights: Tensor | None, lse: Tensor | None, shape: torch.Size
    ) -> AttentionCall | None:
        frame = scores.owner if scores.owner in self.recorder.frames else None
        index = frame.softmaxes if frame is not None else self.softmaxes
        for running in self.recorder.frames:
            running.softmaxes += 1
        self.softmaxes += 1
        tick("layers", min(1.0, self.softmaxes / self.expected) if self.expected else None)
        stop = self.stop_at is not None and self.softmaxes == self.stop_at + 1
        if self.stop_at is not None and not stop:
            return None
        terms = terms_of(scores) if scores.softcap is None else None
        read = terms is not None and (tensor is None or reproduces(scores, terms, weights))
        if not read or (terms.dense and frame is None and not stop):
            self.unread.append(frame.name if frame is not None else "")
            return None
        sums = log_sum_exp(scores, terms, tensor, weights, lse)
        if stop:
            raise _Reached(terms, sums)
        parts = {name: part for name, part in (("lse", sums), ("sinks", scores.sinks)) if part is not None}
        again = self._again(frame, index, sums) if terms.dense else None
        parts |= {terms.kind: terms.bias} if terms.kind and not terms.dense else {}
        mask = simplest_mask(terms.allowed)
        return AttentionCall(scores.q, scores.k, scores.scale, mask, parts, tuple(shape), make_bias=again)

    def _again(self, frame: Frame, index: int, lse: Tensor | None) -> Callable[[], Tensor]:
        module = frame.module
        args, kwargs = tree_map(self._packing.pack, (frame.args, frame.kwargs))

        def again() -> Tensor:
            return replay(module, tree_map(unpack, args), tree_map(unpack, kwargs), index, lse)

        return again


def replay(module: nn.Module, args: tuple, kwargs: dict, index: int, lse: Tensor | None) -> Tensor:
    """Run one module up to its softmax number `index` -> what is added to its scores there, [h, q, k].

    Raises ValueError where the module no longer does what was recorded (its weights were changed).
    """
    recorder, there = OperatorRecorder(module.parameters()), device_of(module)
    args, kwargs = tree_map(lambda value: value.to(there) if isinstance(value, Tensor) else value, (args, kwargs))
    ScoreTracker(ScoreTracer(recorder, stop_at=index), recorder)
    try:
        with _disable_current_modes(), active(recorder):
            module(*args, **kwargs)
    except _Reached as reached:
        both = lse is not None and reached.lse is not None
        same = not both or torch.allclose(host(lse), host(reached.lse), rtol=1e-4, atol=1e-4)
        if same and reached.terms.bias is not None:
            return host(reached.terms.bias)
    raise ValueError("the model has changed since this run was recorded: its position terms cannot be made again")


@torch.no_grad()
def attention_paths(module: nn.Module, inputs: Mapping[str, Tensor]) -> list[str]:
    """The dotted path of the module of every softmax that weights values in one forward, whether it can be read or not."""
    recorder = OperatorRecorder(module.parameters())
    tracer = ScoreTracer(recorder)
    tracker = ScoreTracker(tracer, recorder)
    with record_operators(module, recorder):
        module(**as_taken(module, inputs))
    return [*(call.path[-1][0] for call in tracker.calls), *tracer.unread, *tracker.lost]


@contextmanager
def traced(model: nn.Module, expected: int) -> Iterator[list[AttentionCall]]:
    """Follow every attention call of the forward inside the block; raises ValueError at its end where one was lost."""
    recorder = OperatorRecorder(model.parameters())
    tracer = ScoreTracer(recorder, expected)
    tracker = ScoreTracker(tracer, recorder)
    found = tracker.calls
    with record_operators(model, recorder, left=tracker.left):
        yield found
    for call in found:
        settle(call)
    lost = tracer.unread or tracker.lost or tracer.softmaxes != len(found)
    why = ""
    if lost or not found:
        where = f" of {tracer.unread[0]}" if tracer.unread else ""
        why = f"its scores{where} cannot be told apart" if lost else "no attention over whole rows of keys was met"
    elif any(call.projection is None for call in found):
        # Not every softmax between two products is an attention sub-layer (Nyströmformer has three in one).
        why = "what it mixes goes through no W_O"
    if why:
        raise ValueError(f"the attention of this model cannot be recorded: {why}")
