"""Finding the parts of one attention: concatenated, written into a buffer, or added up by the sums of their blocks."""

from __future__ import annotations

from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.in_parts.join import are_blocks, as_context, join, merge
from model.instrumentation.operators.notes import Context
from model.instrumentation.operators.recorder import Operation, memory_of
from model.instrumentation.operators.score_reader import ScoreReader


class Parts:
    """Puts calls together, in the list of `calls` that it shares, when the module does.

    A buffer is held until it is full, so that no other tensor comes to lie where it lay; blocks of keys wait for the tensor
    that is their merged context, until their module is left.
    """

    def __init__(self, calls: list[AttentionCall], reader: ScoreReader):
        self._calls, self._reader = calls, reader
        self._buffers: dict[int, tuple[Tensor, list[AttentionCall]]] = {}
        self._blocks: list[AttentionCall] = []

    def attended(self, call: AttentionCall) -> None:
        """A new call: it may be of the same queries as the one before, over other keys."""
        before = self._calls[-2:-1]
        if before and before[0].place == call.place and are_blocks([before[0], call]):
            self._blocks = [*(self._blocks if before[0] in self._blocks else before), call]

    def concatenated(self, calls: list[AttentionCall], result: Tensor) -> Context | None:
        """Heads or runs of queries that were computed one by one and are side by side in `result`."""
        joined = join(calls, result)
        return None if joined is None else self._replaced(calls, joined)

    def written(self, operation: Operation, context: Context) -> None:
        """A context was copied into a part of a tensor."""
        part = operation.args[0]
        _, calls = self._buffers.setdefault(memory_of(part), (part, []))
        calls.append(context.call)

    def read(self, tensor: Tensor) -> Context | None:
        """What is read where contexts were written: all of them as one, once they fill the tensor."""
        held = self._buffers.get(memory_of(tensor)) if self._buffers else None
        if held is None or sum(call.context.numel() for call in held[1]) != tensor.numel():
            return None
        found = self.concatenated(held[1], tensor)
        if found is not None:
            del self._buffers[memory_of(tensor)]
            self._reader.written(found.call, tensor)
        return found

    def summed(self, operation: Operation) -> Context | None:
        """The merged context of blocks of keys, where an operator gave it."""
        result, blocks = operation.result, self._blocks
        if not blocks or not isinstance(result, Tensor) or not result.is_floating_point():
            return None
        if result.numel() != blocks[0].context.numel() or operation.in_place:
            return None
        joined = merge(blocks)
        context = None if joined is None else as_context(joined, result)
        if context is None:
            return None
        self._blocks, joined.context = [], self._reader.keep(context)
        found = self._replaced(blocks, joined)
        self._reader.merged(joined)
        return found

    def _replaced(self, calls: list[AttentionCall], joined: AttentionCall) -> Context:
        at = self._calls.index(calls[0])
        self._calls[:] = [call for call in self._calls if call not in calls]
        self._calls.insert(at, joined)
        return Context(joined)
