"""Self- or cross-attention by data flow: whether the projections of keys and queries were applied to the same tensor."""

from __future__ import annotations

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.operators.recorder import PRODUCTS, SOFTMAX, VIEWS, Operation, OperatorRecorder


class ProjectionSources:
    """Follows every tensor back to the products with a parameter that it comes from, and what those were applied to."""

    def __init__(self, recorder: OperatorRecorder):
        self._recorder = recorder
        self._sources = WeakTensorKeyDictionary()  # tensor -> the tensors that its projections read
        self._origins = WeakTensorKeyDictionary()  # tensor -> the one that it is a view, a copy or a layer norm of
        recorder.followers.append(self.see)

    def see(self, operation: Operation) -> None:
        name, args, results = operation.name, operation.args, operation.result
        results = [r for r in (results if isinstance(results, tuple | list) else [results]) if isinstance(r, Tensor)]
        if not results or name in SOFTMAX or operation.is_kernel:
            return
        if name in VIEWS or name == "native_layer_norm":
            for result in results[: 1 if name == "native_layer_norm" else None]:
                self._origins[result] = self.origin(args[0])
        data = (
            [factor for factor in operation.factors if not self._recorder.is_parameter(factor)]
            if name in PRODUCTS
            else []
        )
        if name in PRODUCTS and len(data) < 2:
            found = [self.origin((data or operation.factors)[0])]
        else:
            parts = [a for argument in args for a in (argument if isinstance(argument, tuple | list) else [argument])]
            found = [source for part in parts if isinstance(part, Tensor) for source in self._sources.get(part, ())]
        if found:
            for result in results:
                self._sources[result] = found

    def forget(self) -> None:
        """Begin anew: what was computed so far explains the attention that ended, and no later one."""
        self._sources.clear()
        self._origins.clear()

    def differ(self, queries: Tensor, keys: Tensor) -> bool | None:
        """Whether queries and keys share no source; None where either has none."""
        read, given = self.of(queries), self.of(keys)
        return not (read & given) if read and given else None

    def positions(self, tensor: Tensor) -> int | None:
        """How many vectors [·, d] the one tensor had that this was projected from; None where none or several are known."""
        sizes = {source.numel() // source.shape[-1] for source in self._sources.get(tensor, ()) if source.dim() >= 2}
        return sizes.pop() if len(sizes) == 1 else None

    def projected(self, tensor: Tensor) -> bool:
        """Whether a product with a parameter is among what the tensor was made of."""
        return bool(self._sources.get(tensor, ()))

    def tensors(self, tensor: Tensor) -> list[Tensor]:
        """What the projections read that the tensor was made of."""
        return list(self._sources.get(tensor, ()))

    def of(self, tensor: Tensor) -> set[tuple[int, int]]:
        """The same as places in memory (address, numbers)."""
        return {(source.data_ptr(), source.numel()) for source in self.tensors(tensor)}

    def origin(self, tensor: Tensor) -> Tensor:
        """What the tensor is a view, a copy or a layer norm of, else itself."""
        return self._origins.get(tensor, tensor)
