"""What a tensor descends from: the attentions, inputs and token ids that flowed into it, whatever happened in between.

It tells two encoders, which read inputs of their own, from two parts of one; and a module that runs again over a longer
text (a loop that writes) from one whose weights serve several layers.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.operators.attention_call import AttentionCall, Origin
from model.instrumentation.operators.recorder import Operation, tensors_in

_NOTHING: frozenset[Origin] = frozenset()


class Descent:
    """Follows every operator. ids: the ids that embeddings read, by their number; input ids are among `inputs`.

    What a model decides on (an argmax, a sample) is a number of its own: whatever is computed of it descends from inputs,
    and from the attentions before it no more.
    """

    def __init__(self, inputs: Iterable[Tensor]):
        self.ids: list[tuple[Tensor, int]] = []  # (ids [n], rows of the table that they were looked up in)
        self._from = WeakTensorKeyDictionary()
        self._attended: AttentionCall | None = None
        for number, tensor in enumerate(inputs):
            if tensor not in self._from:
                self._from[tensor] = frozenset({("input", number)})

    def attended(self, call: AttentionCall) -> None:
        """The operator that is seen next made the context of `call`."""
        self._attended = call

    def written(self, call: AttentionCall, tensor: Tensor) -> None:
        """A tensor was filled, part by part, with the context of `call`."""
        self._from[tensor] = _origins(call).union(self.of(tensor), *call.descent)

    def of(self, tensor: Tensor) -> frozenset[Origin]:
        return self._from.get(tensor, _NOTHING)

    def see(self, operation: Operation) -> None:
        found = _NOTHING.union(*map(self.of, tensors_in((*operation.args, *operation.kwargs.values()))))
        if self._attended is not None:
            found |= _origins(self._attended)
            self._attended = None
        if operation.name == "embedding" and not operation.args[1].is_floating_point():
            found |= {("ids", len(self.ids))}
            self.ids.append((operation.args[1].detach().reshape(-1).clone(), operation.args[0].shape[0]))
        if not found:
            return
        for result in tensors_in((operation.result,)):
            kept = found if result.is_floating_point() else frozenset(each for each in found if each[0] == "input")
            self._from[result] = kept


def _origins(call: AttentionCall) -> frozenset[Origin]:
    """The attention itself, and where it ran."""
    numbers = (each.number for each in (call.heads or [call]))
    return frozenset({("call", call.place), *(("attention", number) for number in numbers)})
