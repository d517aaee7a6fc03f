"""Following q · kᵀ from the product to W_O, operator by operator, in any model that runs its attention in PyTorch.

Every tensor on the way carries a note of what it is: scores (with the scale, and everything added or masked so far),
weights, context, output. A note ends with its tensor, so nothing q × k outlives the operator that the model used it in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.operators import layout
from model.instrumentation.operators import recorder as operators
from model.instrumentation.operators.attention_call import AttentionCall, compact
from model.instrumentation.operators.fused_kernels import log_sum_exp_of, scores_of
from model.instrumentation.operators.in_parts.parts import Parts
from model.instrumentation.operators.notes import (
    HALF,
    Context,
    Output,
    Scaled,
    Scores,
    Weights,
    scaled,
    turned,
    unscaled,
)
from model.instrumentation.operators.output_projection import add_bias, given, project
from model.instrumentation.operators.recorder import Frame, Operation, OperatorRecorder
from model.instrumentation.operators.regroup import heads_apart
from model.instrumentation.operators.score_operators import WeightChanges, after
from model.instrumentation.operators.score_reader import ScoreReader
from model.instrumentation.operators.written_softmax import Widened, padded, widened, written_softmax


class ScoreTracker:
    """`see` every operator; `calls` are the attentions found, in the order in which their values were weighted.

    lost: paths of the modules of softmaxes that weighted something, but whose scores or weights could not be followed;
    lost_scores: those of them that did read scores, and are no router's. changes: what was done to weights before they met
    values; over_queries: (call, path) of weights that were summed along queries.
    """

    def __init__(self, reader: ScoreReader, recorder: OperatorRecorder):
        self.reader, self.recorder = reader, recorder
        self.calls: list[AttentionCall] = []
        self._parts = Parts(self.calls, reader)
        self.lost: list[str] = []
        self.lost_scores: list[str] = []
        self.over_queries: list[tuple[AttentionCall, str]] = []
        self.changes = WeightChanges()
        self._notes = WeakTensorKeyDictionary()
        recorder.followers.append(self.see)

    def note(self, tensor: object) -> Any:
        return self._notes.get(tensor) if isinstance(tensor, Tensor) else None

    def see(self, operation: Operation) -> None:
        result = operation.result
        found = self._parts.summed(operation, self.note) or _handler(operation.name)(self, operation)
        found = found or self.changes.after(operation, self.note, self.recorder.innermost)
        if found is not None:
            self._notes[result[0] if isinstance(result, tuple) else result] = found
        elif operation.in_place and self.note(operation.args[0]) is not None:
            del self._notes[operation.args[0]]  # changed in place in a way that is not followed

    def left(self, frame: Frame, out: object) -> None:
        """A module that ran has given `out`: it may have been a projection of several matrices, or the whole sub-layer."""
        self._parts.left()
        read = self.note(frame.args[0]) if len(frame.args) == 1 else None
        given(self.calls, read, frame, out, self.reader.keep)

    def _on_scores(self, operation: Operation) -> Any:
        """An operator that may read scores: of two, those that passed nothing unknown (products of positions are no q · kᵀ)."""
        args, result = operation.args, operation.result
        found = [(at, note) for at, arg in enumerate(args) if isinstance(note := self.note(arg), Scores)]
        beside = [note for arg in args if isinstance(note := self.note(arg), Widened)]
        if beside and isinstance(result, Tensor):
            return beside[0].after(operation)
        if not found or any(isinstance(self.note(arg), Weights) for arg in args):
            return _BESIDE.get(operation.name, _nothing)(self, operation)
        at, scores = min(found, key=lambda pair: pair[1].opaque)
        if operation.name == "constant_pad_nd":
            return padded(operation, scores)
        return after(scores, at, operation)

    def _view(self, operation: Operation) -> Any:
        given, result = operation.args[0], operation.result
        note = self.note(given) or self._parts.read(given)
        if isinstance(note, Scaled) or note is None or not isinstance(result, Tensor):
            return note if isinstance(result, Tensor) else None
        if isinstance(note, Widened):
            return note.after(operation)
        if isinstance(note, Scores) or (isinstance(note, Weights) and note.call is not None):
            found = layout.after(operation, note.layout)
            if found is None:
                self.changes.changed += [(note.call, self.recorder.innermost, "")] if isinstance(note, Weights) else []
                return None
            rounded = {"rounded": note.rounded or result.dtype in HALF} if isinstance(note, Scores) else {}
            return replace(note, layout=found, **rounded)
        lost = isinstance(note, Weights) and note.of_scores  # the weights of several products, taken apart again
        return note if lost or result.numel() == given.numel() else None

    def _multiplied(self, operation: Operation) -> Any:
        """Weights of one token times its value; or q or k, scaled before they are multiplied."""
        if isinstance(note := self.note(operation.args[0]), Weights):
            return self._single(operation, note)
        return scaled(note, *operation.args[:2], divides=operation.name == "div")

    def _biased(self, operation: Operation) -> None:
        note, bias = self.note(operation.args[0]), operation.args[1]
        if isinstance(note, Output) and isinstance(bias, Tensor):
            add_bias(note.call, bias, self.reader.keep(operation.result))

    def _product(self, operation: Operation) -> Any:
        (a, b), result = operation.factors, operation.result
        factors, axes = (a, b), result.dim()
        if b.dim() == 1:
            b, result = b[:, None], result[:, None]
        left, right = self.note(a), self.note(b)
        added = operation.args[0] if operators.PRODUCTS[operation.name] else None
        for note, x, y, made in ((left, a, b, result), (turned(right), b.mT, a.mT, result.mT)):
            if isinstance(note, Scores) and not self.recorder.is_parameter(y):
                note = written_softmax(note, x, self.reader)
            if isinstance(note, Weights):
                return self._weighted_values(note, x, y, made)
        if isinstance(left, Context) and (a.dim() == 2 or a.shape[0] == b.shape[0] == 1):
            return self._projected(left.call, layout.matrix(a), layout.matrix(b), added, layout.matrix(result))
        # A product with a parameter is a layer (a router or a gate has a softmax over its own outputs), or learned queries.
        learned = self.recorder.is_parameter(a) or self.recorder.is_parameter(b)
        if learned and not (self.reader.learned_queries and self.recorder.may_be_queries(a, b)):
            return None
        (q, by_q), (k, by_k) = unscaled(a, left), unscaled(b, right)
        q, k = layout.cube(q), layout.cube(k).mT
        owner = self.recorder.frames[-1] if self.recorder.frames else None
        scale = by_q * by_k * float(operation.kwargs.get("alpha", 1))
        lies = layout.contiguous((*q.shape[:2], k.shape[1]))[-result.dim() :][:axes]
        scores = Scores(
            q,
            k,
            factors,
            lies,
            scale,
            rounded=result.dtype in HALF,
            learned=learned,
            owner=owner,
            inner=(-1, -min(2, factors[1].dim())),
        )
        beta = float(operation.kwargs.get("beta", 1))
        return scores if added is None or beta == 0 else scores.plus(scores.cells(added, result.shape), beta)

    def _softmax(self, operation: Operation) -> Any:
        given, result = operation.args[0], operation.result
        axis, note = operation.args[1] % max(1, result.dim()), self.note(given)
        if not result.numel():  # a last chunk, or a block, of nothing
            return None
        if isinstance(note, Widened):
            return Weights(None) if note.scores is None else note.after(operation).normalised()
        scores = None
        if isinstance(note, Scores):
            scores = note.with_keys_on(axis)
            if note.learned and scores is not None and self.recorder.is_parameter(scores.factors[1]):
                note = scores = None
            scores = None if scores is None else heads_apart(scores, self.reader.projection(scores.factors[0]))
        if scores is None:
            found = Weights(None, of_scores=isinstance(note, Scores))
            return found if result.dim() >= 3 and axis == result.dim() - 1 else None
        tensor, weights = (scores.cells(t, given.shape) for t in (given, result))
        scores, rows = scores.without_row_terms()
        tensor = tensor if rows is None else tensor - rows
        call = self.reader.softmax(scores, tensor, weights, None, result.shape)
        if call is not None:
            call.head_sizes = layout.head_sizes(scores.layout, scores.shape)
        return None if call is None else Weights(call, scores.layout)

    def _weighted_values(self, note: Weights, weights: Tensor, v: Tensor, result: Tensor) -> Context | None:
        """weights · v, where the weights are as the softmax made them, with the keys last."""
        call = note.call
        if call is not None and layout.of_queries(note.layout[-1], call.weights_shape):
            self.over_queries.append((call, self.recorder.innermost))
            return None
        if note.altered:
            return None
        if call is not None and call.context is None:
            shape, parts = call.weights_shape, (layout.cube(v), layout.cube(result))
            if (heads_first := layout.values_and_context(note.layout, shape, *parts)) is not None:
                return self._attended(call, *heads_first)
        self.lost.append(self.recorder.innermost)
        self.lost_scores += [self.recorder.innermost] if note.of_scores else []
        return None

    def _attended(self, call: AttentionCall, v: Tensor, context: Tensor) -> Context:
        call.v, call.context, call.path = self.reader.keep(v), self.reader.keep(context), self.recorder.path
        call.entries = {frame.name: frame.number for frame in self.recorder.frames}
        call.k, call.v = compact(call.k, call.v)
        self.reader.weighted_values(call)
        self.calls.append(call)
        self._parts.attended(call)
        return Context(call)

    def _single(self, operation: Operation, note: Weights) -> Context | None:
        """One key alone: some models multiply by its one weight where more keys make it a matrix product."""
        call, v = note.call, operation.args[1]
        if call is None or note.altered or call.context is not None:
            return None
        if operation.name != "mul" or call.weights_shape[2] != 1:
            return None
        found = layout.single(note.layout, call.weights_shape, operation.args[0], v, operation.result)
        return None if found is None else self._attended(call, *found)

    def _fused(self, operation: Operation) -> Context | None:
        scores = scores_of(operation, self.recorder.frames[-1] if self.recorder.frames else None)
        if scores is None or not operation.result[0].numel():
            return None
        query, key = scores.factors
        shape = torch.Size((*query.shape[:3], key.shape[2]))
        call = self.reader.softmax(scores, None, None, log_sum_exp_of(operation)[0], shape)
        return None if call is None else self._attended(call, operation.named()["value"][0], operation.result[0][0])

    def _projected(self, call: AttentionCall, x: Tensor, weight: Tensor, bias: Tensor | None, result: Tensor) -> Any:
        found = project(call, x, weight, bias, result)
        if found is not None:
            call.output = self.reader.keep(result)
            self.reader.projected(call)
        return found

    def _joined(self, operation: Operation) -> Context | Widened | None:
        """Heads or runs of queries that were computed one by one and are concatenated here become one call."""
        notes = [self.note(part) for part in operation.args[0]]
        real = [note for note, part in zip(notes, operation.args[0], strict=True) if part.numel()]
        if len(real) < 2 or not all(isinstance(note, Context) for note in real):
            return widened(operation, notes) if operation.name == "cat" else None
        return self._parts.concatenated(operation, [note.call for note in real])

    def _copied(self, operation: Operation) -> None:
        self._parts.written(operation, self.note)


def _nothing(tracker: ScoreTracker, operation: Operation) -> None:
    """An operator that makes nothing of what is followed."""


_HANDLERS = {
    "cat": ScoreTracker._joined, "stack": ScoreTracker._joined, "copy": ScoreTracker._copied,
    **dict.fromkeys(operators.PRODUCTS, ScoreTracker._product), **dict.fromkeys(operators.SOFTMAX, ScoreTracker._softmax),
    **dict.fromkeys(operators.VIEWS, ScoreTracker._view),
}  # fmt: skip
# The same operators where none of their arguments is scores.
_BESIDE = {"mul": ScoreTracker._multiplied, "div": ScoreTracker._multiplied, "add": ScoreTracker._biased}


@cache
def _handler(name: str) -> Callable[[ScoreTracker, Operation], Any]:
    return ScoreTracker._fused if name.startswith(operators.KERNELS) else _HANDLERS.get(name, ScoreTracker._on_scores)
