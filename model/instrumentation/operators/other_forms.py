"""Attention of other forms than softmax(q kᵀ) v, which is not recorded, but must not be passed over in silence.

Whatever mixes positions is two products of data, of which one adds positions up and the second reads what was made of the
first: weights by a sigmoid or a power, linear attention (Katharopoulos et al. 2020, equation 5), state spaces in their dual
form (Dao and Gu 2024, section 3). One product alone (a similarity, a gate), or two along features, mix nothing. A softmax
over positions that weights them is attention too, whatever its scores are.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.operators.notes import Context, Scores, Weights
from model.instrumentation.operators.recorder import PRODUCTS, SOFTMAX, VIEWS, Operation, tensors_in
from model.instrumentation.operators.tracker import ScoreTracker

# (numbers of the second products on the way, whether one added positions up, numbers of all products on the way)
_Made = tuple[frozenset[int], bool, frozenset[int]]


class OtherForms:
    """Follows every operator, after `tracker`. is_data: whether a tensor was computed of the module's inputs; on: whether a
    tensor's positions lie along an axis, None where it is not known.
    """

    def __init__(
        self, tracker: ScoreTracker, is_data: Callable[[Tensor], bool], on: Callable[[Tensor, int], bool | None]
    ):
        self._tracker, self._is_data, self._on = tracker, is_data, on
        self.of_other_scores: list[str] = []  # paths where a softmax of no product of queries and keys mixed positions
        self._made = WeakTensorKeyDictionary()  # what was computed of a product of data -> `_Made`
        self._shares = WeakTensorKeyDictionary()  # the softmax over positions of anything but scores
        self._second: list[str] = []  # paths of the modules of second products
        self._recorded: set[int] = set()
        self._one_by_one: list[
            tuple[str, frozenset[int]]
        ] = []  # paths where one value was weighted, products of the weight
        self._products, self._read = (
            0,
            frozenset(),
        )  # how many products of data there were; those that recorded weights are of

    def see(self, operation: Operation) -> None:
        if operation.is_kernel or not any(result.numel() for result in tensors_in((operation.result,))):
            return
        if operation.name in PRODUCTS:
            self._product(operation)
            return
        self._weights_of_positions(operation)
        self._weighs_one_value(operation)
        made = [found for part in tensors_in(operation.args) if (found := self._made.get(part)) is not None]
        if operation.name == "cumsum" and operation.result.is_floating_point() and self._sums_positions(operation):
            made.append(
                (frozenset(), True, frozenset())
            )  # linear attention that is causal: sums of k vᵀ up to each position
        for result in tensors_in((operation.result,)) if made else ():
            self._made[result] = _union(made)

    def _sums_positions(self, operation: Operation) -> bool:
        given, axis = operation.args[:2]
        return self._is_data(given) and self._on(given, axis % max(1, given.dim())) is not False

    def _product(self, operation: Operation) -> None:
        left, right = operation.factors
        made = [found for part in (left, right) if (found := self._made.get(part)) is not None]
        numbers, summed, products = _union(made)
        if isinstance(self._tracker.note(operation.result), Context):
            self._recorded |= numbers  # scores of a recorded attention
            self._read |= products
            return
        self._weighted(left, right)
        if any(map(self._tracker.recorder.is_parameter, (left, right))) or not all(map(self._is_data, (left, right))):
            return
        if len(made) == 1 and left.shape[-1] == 1:  # one key at a time, as a matrix product
            self._one_by_one.append((self._tracker.recorder.innermost, products))
        ends = (left, left.dim() - 1), (right, max(0, right.dim() - 2))
        along = [self._on(part, axis) for part, axis in ends]
        # What is not known may be positions where the other factor is made of a product already.
        here = any(on or (on is None and bool(made)) for on in along)
        if made and (here or (summed and any(self._rows(part) for part in (left, right)))):
            numbers |= {len(self._second)}
            self._second.append(self._tracker.recorder.innermost)
        self._products += 1
        self._made[operation.result] = numbers, summed or here, products | {self._products}

    def _weighs_one_value(self, operation: Operation) -> None:
        """A weight a query, made of a product of data, times one value: keys are read one by one, and their values added up."""
        if operation.name != "mul" or not all(isinstance(arg, Tensor) and arg.dim() > 1 for arg in operation.args[:2]):
            return
        for weight, value in (operation.args[:2], operation.args[1::-1]):
            made = self._made.get(weight)
            fits = weight.shape[-1] == 1 < value.shape[-1] and operation.result.numel() > value.numel()
            if made is not None and fits and value not in self._made and self._is_data(value):
                self._one_by_one.append((self._tracker.recorder.innermost, made[2]))

    def _rows(self, tensor: Tensor) -> bool:
        return any(self._on(tensor, axis) for axis in range(tensor.dim()))

    @property
    def paths(self) -> list[str]:
        """Paths of the modules where values were mixed and no attention was recorded of it."""
        mixed = [path for number, path in enumerate(self._second) if number not in self._recorded]
        one_by_one = [path for path, products in self._one_by_one if not products & self._read]
        return mixed + [path for path in one_by_one if one_by_one.count(path) > 1]  # one alone is a gate, or a low rank

    def _weighted(self, left: Tensor, right: Tensor) -> None:
        """A router's softmax weights experts; one that weights positions is attention, whatever its scores are."""
        for weights, values, along in ((left, right, right.dim() - 2), (right, left, left.dim() - 1)):
            note = self._tracker.note(weights)
            lost = isinstance(note, Weights) and note.call is None and not note.of_scores
            lost = lost and along >= 0 and bool(self._on(values, along))
            if (lost or weights in self._shares) and self._is_data(values):
                self.of_other_scores.append(self._tracker.recorder.innermost)

    def _weights_of_positions(self, operation: Operation) -> None:
        """A softmax over positions themselves (pooling, a pointer), and the values that it multiplies one by one."""
        args, name = operation.args, operation.name
        if name in SOFTMAX:
            if not isinstance(self._tracker.note(args[0]), Scores) and self._on(
                args[0], args[1] % max(1, args[0].dim())
            ):
                self._shares[operation.result] = True
            return
        if not args or not isinstance(args[0], Tensor):
            return
        shares = [part for part in tensors_in(args) if part in self._shares]
        if not shares:
            return
        if name in VIEWS:
            for result in tensors_in((operation.result,)):
                self._shares[result] = True
        elif name == "mul" and operation.result.numel() > shares[0].numel():
            self.of_other_scores.append(self._tracker.recorder.innermost)


def _union(made: list[_Made]) -> _Made:
    numbers, summed, products = zip(*made, strict=True) if made else ((), (), ())
    return frozenset().union(*numbers), any(summed), frozenset().union(*products)
