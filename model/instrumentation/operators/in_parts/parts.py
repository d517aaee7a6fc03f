"""Finding the parts of one attention: concatenated, written into a buffer, or added up by the sums of their blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.in_parts.blocks import are_blocks, as_context, merge
from model.instrumentation.operators.in_parts.join import FILLED, join
from model.instrumentation.operators.notes import Context
from model.instrumentation.operators.recorder import Operation, memory_of, tensors_in
from model.instrumentation.operators.score_reader import ScoreReader


class Parts:
    """Puts calls together, in the list of `calls` that it shares, when the module does.

    A buffer is held until it is full, so that no other tensor comes to lie where it lay; blocks of keys wait for the tensor
    that is their merged context, made of all of theirs, until their module is left.
    """

    def __init__(self, calls: list[AttentionCall], reader: ScoreReader):
        self._calls, self._reader = calls, reader
        self._together: dict[frozenset[int], AttentionCall] = {}
        self._buffers: dict[int, tuple[Tensor, list[tuple[int, AttentionCall]]]] = {}
        self._blocks: list[AttentionCall] = []
        self._since = 0  # the number of the first attention of the running module whose context is followed
        self._made = WeakTensorKeyDictionary()  # tensor -> numbers of those whose contexts flowed into it

    def attended(self, call: AttentionCall) -> None:
        """A new call: it may be of the same queries as the one before, over other keys."""
        if call.places[0].rows is None:
            return
        self._since = self._since or call.number
        before = self._calls[-2:-1]
        if before and before[0].place == call.place and are_blocks([before[0], call]):
            self._blocks = [*(self._blocks if before[0] in self._blocks else before), call]

    def left(self) -> None:
        """A module has ended: what was not merged in it stays apart."""
        self._blocks, self._since = [], 0

    def concatenated(self, operation: Operation, calls: list[AttentionCall]) -> Context | None:
        """Heads or runs of queries that were computed one by one are side by side in the result."""
        axes = operation.result.dim()
        axis = operation.named().get("dim", 0) % axes - axes if operation.name == "cat" else None
        return self._side_by_side(calls, operation.result, axis)

    def _side_by_side(self, calls: list[AttentionCall], result: Tensor, axis: int | None) -> Context | None:
        if (known := self._together.get(frozenset(map(id, calls)))) is not None:
            return Context(known) if known in self._calls else None
        if any(call not in self._calls for call in calls):
            return None
        joined = join(calls, result, axis)
        return None if joined is None else self._replaced(calls, joined)

    def written(self, operation: Operation, note: Callable[[object], object]) -> None:
        """A context may have been copied into a part of a tensor."""
        part, context = operation.args[0], note(operation.args[1])
        if isinstance(context, Context):
            _, calls = self._buffers.setdefault(memory_of(part), (part, []))
            calls.append((part.storage_offset(), context.call))

    def read(self, tensor: Tensor) -> Context | None:
        """What is read where contexts were written: all of them as one, once they fill the tensor."""
        held = self._buffers.get(memory_of(tensor)) if self._buffers else None
        if held is None or sum(call.context.numel() for _, call in held[1]) != tensor.numel():
            return None
        calls = [call for _, call in sorted(held[1], key=lambda pair: pair[0])]
        found = self._side_by_side(calls, tensor, FILLED)
        if found is not None:
            del self._buffers[memory_of(tensor)]
            self._reader.written(found.call, tensor)
        return found

    def summed(self, operation: Operation, note: Callable[[object], object]) -> Context | None:
        """The merged context of blocks of keys, where an operator gave it of all of theirs."""
        result = operation.result
        if not self._since or not isinstance(result, Tensor) or not result.is_floating_point():
            return None
        numbers = frozenset().union(*(self._flowed_in(arg, note) for arg in tensors_in(operation.args)))
        if not numbers:
            return None
        self._made[result] = numbers
        if not self._blocks or operation.in_place or result.numel() != self._blocks[0].context.numel():
            return None
        if any(block.number not in numbers for block in self._blocks):
            return None
        joined = merge(self._blocks)
        context = None if joined is None else as_context(joined, result)
        if context is None:
            return None
        blocks, self._blocks, joined.context = self._blocks, [], self._reader.keep(context)
        found = self._replaced(blocks, joined)
        self._reader.merged(joined)
        return found

    def _flowed_in(self, tensor: Tensor, note: Callable[[object], object]) -> frozenset[int]:
        known = note(tensor)
        here = isinstance(known, Context) and known.call.number >= self._since
        return self._made.get(tensor, frozenset()) | ({known.call.number} if here else set())

    def _replaced(self, calls: list[AttentionCall], joined: AttentionCall) -> Context:
        at = self._calls.index(calls[0])
        self._calls[:] = [call for call in self._calls if call not in calls]
        self._calls.insert(at, joined)
        self._together[frozenset(map(id, calls))] = joined
        return Context(joined)
