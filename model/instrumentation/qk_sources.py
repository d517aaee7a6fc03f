"""What tensors were projected from: the products with a parameter that they come from, and what those were applied to."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.operators.recorder import (
    PRODUCTS,
    SOFTMAX,
    VIEWS,
    Operation,
    OperatorRecorder,
    memory_of,
    tensors_in,
)


@dataclass(frozen=True, eq=False)
class Projection:
    """A product of vectors with a parameter. read: what it was applied to, before any view, copy or layer norm. rows: how
    many vectors; made: its result [rows, d], where it is that.
    """

    read: Tensor
    rows: int
    made: Tensor | None = None


class ProjectionSources:
    """Follows every tensor back to its projections."""

    def __init__(self, recorder: OperatorRecorder):
        self._recorder = recorder
        self._projections = WeakTensorKeyDictionary()  # tensor -> the projections that it was made of
        self._origins = WeakTensorKeyDictionary()  # tensor -> the one that it is a view, a copy or a layer norm of
        self._written: dict[int, list[Projection]] = {}  # memory that was written to in part (a cache) -> of what
        recorder.followers.append(self.see)

    def see(self, operation: Operation) -> None:
        name, args, results = operation.name, operation.args, list(tensors_in((operation.result,)))
        if not results or name in SOFTMAX or operation.is_kernel:
            return
        if name in VIEWS or name == "native_layer_norm":
            for result in results[: 1 if name == "native_layer_norm" else None]:
                self._origins[result] = self.origin(args[0])
        projection = self._projection(operation)
        given = (each for part in tensors_in(args) for each in self.of_tensor(part))
        found = list(given) if projection is None else [projection]
        if found and operation.in_place and name == "copy":
            self._written[memory_of(args[0])] = found
        for result in results if found else ():
            self._projections[result] = found

    def _projection(self, operation: Operation) -> Projection | None:
        """The projection that an operator is: a product of one tensor with a parameter, or a convolution with one."""
        if operation.name == "convolution":
            read, kernel = operation.args[:2]
            made = operation.result
            known = self._recorder.is_parameter(kernel) and not self._recorder.is_parameter(read)
            return Projection(self.origin(read), made.numel() // max(1, made.shape[1])) if known else None
        if operation.name not in PRODUCTS:
            return None
        given = [self._recorder.is_parameter(factor) for factor in operation.factors]
        if not any(given) or all(given):
            # A product of two tensors of data is no projection: what it gives was made of no vector alone.
            return None if not any(given) else Projection(self.origin(operation.factors[0]), 0)
        at = given.index(False)
        data = operation.factors[at]
        rows = data.numel() // max(1, data.shape[-1 if at == 0 or data.dim() == 1 else -2])
        made = operation.result if at == 0 and operation.result.dim() == 2 else None
        return Projection(self.origin(data), rows, made)

    def forget(self) -> None:
        """Begin anew: what was computed so far explains the attention that ended, and no later one."""
        self._projections.clear()
        self._origins.clear()
        self._written.clear()

    def of_tensor(self, tensor: Tensor) -> list[Projection]:
        """The projections that a tensor was made of; of a part of memory that was written to, those of what was written."""
        known = self._projections.get(tensor)
        return known if known is not None else self._written.get(memory_of(tensor), []) if self._written else []

    def differ(self, queries: Tensor, keys: Tensor) -> bool | None:
        """Whether queries and keys share no source; None where either has none."""
        read, given = self.places(queries), self.places(keys)
        return not (read & given) if read and given else None

    def projection(self, tensor: Tensor) -> Projection | None:
        """The one projection that the tensor was made of; None where there are none, or several of different lengths."""
        found = self.of_tensor(tensor)
        return found[0] if found and len({each.rows for each in found}) == 1 else None

    def projected(self, tensor: Tensor) -> bool:
        """Whether a product with a parameter is among what the tensor was made of."""
        return bool(self.of_tensor(tensor))

    def tensors(self, tensor: Tensor) -> list[Tensor]:
        """What the projections read that the tensor was made of."""
        return [each.read for each in self.of_tensor(tensor)]

    def places(self, tensor: Tensor) -> set[tuple[int, int]]:
        """The same as places in memory (address, numbers)."""
        return {(read.data_ptr(), read.numel()) for read in self.tensors(tensor)}

    def origin(self, tensor: Tensor) -> Tensor:
        """What the tensor is a view, a copy or a layer norm of, else itself."""
        return self._origins.get(tensor, tensor)
