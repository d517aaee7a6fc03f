"""Attention of other forms than softmax(q kᵀ) v, which is not recorded, but must not be passed over in silence.

Whatever mixes rows by rows is two products of data, the second with what was made of the first: weights by a sigmoid or a
power, linear attention (Katharopoulos et al. 2020, equation 5), state spaces in their dual form (Dao and Gu 2024, section 3).
One product alone (a similarity, a gate) mixes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.operators.notes import Context, Weights
from model.instrumentation.operators.recorder import PRODUCTS, Operation, tensors_in
from model.instrumentation.operators.tracker import ScoreTracker


class OtherForms:
    """Follows every operator, after `tracker`. is_data: whether a tensor was computed of the module's inputs; axis: which axis of
    a tensor its positions are on.
    """

    def __init__(self, tracker: ScoreTracker, is_data: Callable[[Tensor], bool], axis: Callable[[Tensor], int | None]):
        self._tracker, self._is_data, self._axis = tracker, is_data, axis
        self.of_other_scores: list[str] = []  # paths where a softmax of no product of queries and keys mixed positions
        self._made = (
            WeakTensorKeyDictionary()
        )  # of a product of data -> the numbers of the second products it went through
        self._second: list[str] = []  # paths of the modules of second products
        self._recorded: set[int] = set()

    def see(self, operation: Operation) -> None:
        if operation.is_kernel:
            return
        parts = operation.factors if operation.name in PRODUCTS else tensors_in(operation.args)
        made = [found for part in parts if (found := self._made.get(part)) is not None]
        numbers = frozenset().union(*made)
        if operation.name in PRODUCTS:
            data = not any(map(self._tracker.recorder.is_parameter, parts)) and all(map(self._is_data, parts))
            if isinstance(self._tracker.note(operation.result), Context):
                self._recorded |= numbers  # scores of a recorded attention
                return
            if not data:
                return
            self._weighted(*parts)
            if made:
                numbers |= {len(self._second)}
                self._second.append(self._tracker.recorder.innermost)
        elif not made:
            return
        for result in tensors_in((operation.result,)):
            self._made[result] = numbers

    @property
    def paths(self) -> list[str]:
        """Paths of the modules where values were mixed and no attention was recorded of it."""
        return [path for number, path in enumerate(self._second) if number not in self._recorded]

    def _weighted(self, left: Tensor, right: Tensor) -> None:
        """A router's softmax weights experts; one that weights positions is attention, whatever its scores are."""
        for weights, values, along in ((left, right, right.dim() - 2), (right, left, left.dim() - 1)):
            note = self._tracker.note(weights)
            lost = isinstance(note, Weights) and note.call is None and not note.of_scores
            if lost and self._axis(values) == along:
                self.of_other_scores.append(self._tracker.recorder.innermost)
