"""Keys that are no positions of the sequence: a learned bias key, a zero key, memory or prefix keys, a cache.

They are met where keys are concatenated with something else, before or after their projection. The parts of a
concatenation are remembered in their order, and followed to the product with the queries. Keys that were computed of
parameters alone (prefix-tuning: Li and Liang 2021, section 4.3) are learned too, whatever network made them.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from model.instrumentation.descent import Descent
from model.instrumentation.operators.attention_call import Columns
from model.instrumentation.operators.recorder import PRODUCTS, VIEWS, Operation, memory_of, tensors_in
from model.instrumentation.qk_sources import ProjectionSources

_REPEATS = {"expand", "repeat", "index_select"}
_KEEP_A_NAME = _REPEATS | {"mul", "div", "add", "sub", "neg"}
Place = tuple[int, int]  # (address, numbers) of what was projected
ZERO, CACHE, MEMORY = "zero", "cache", "memory"


class KeyColumns:
    """Follows concatenations along positions. parameters: (name, parameter) of the module, by which what is learned is named."""

    def __init__(self, sources: ProjectionSources, parameters: Iterable[tuple[str, Tensor]], descent: Descent):
        self._sources, self._descent = sources, descent
        self._parameters = {memory_of(tensor): _last(name) for name, tensor in parameters}
        self._names = WeakTensorKeyDictionary()  # a view or copy of a parameter -> its name
        self._learned = WeakTensorKeyDictionary()  # what was computed of parameters alone -> the name of the first
        self._columns = WeakTensorKeyDictionary()  # projected keys -> (label, size, what was projected) of their parts
        self._parts = WeakTensorKeyDictionary()  # what is to be projected -> its parts (tensor, name, size)

    def see(self, operation: Operation) -> None:
        name, args, result = operation.name, operation.args, operation.result
        self._learns(operation)
        if not isinstance(result, Tensor) or name in PRODUCTS:
            return
        if name == "cat":
            self._concatenated(operation)
            return
        given = [part for part in args if isinstance(part, Tensor) and part.is_floating_point()]
        labels = {self._name(part) for part in given}
        # What is made of one parameter alone, a table of vectors or a scaled one, keeps its name.
        if (
            (name in VIEWS or name in _KEEP_A_NAME)
            and len(labels) == 1
            and None not in labels
            and not operation.in_place
        ):
            self._names[result] = labels.pop()
        for argument in args:
            known = self._columns.get(argument) if isinstance(argument, Tensor) else None
            if known is not None and (name in _REPEATS or result.numel() == argument.numel()):
                self._columns[result] = known

    def _learns(self, operation: Operation) -> None:
        """Name what an operator makes of parameters alone; a table of them only where all its rows are read in order."""
        given = operation.factors if operation.name in PRODUCTS else operation.args
        read = [part for part in tensors_in(given) if part.is_floating_point() and part.numel() > 1]
        names = [self._learned.get(part) or self._parameters.get(memory_of(part)) for part in read]
        learned = bool(names) and None not in names
        if learned and operation.name == "embedding":
            ids = operation.args[1].reshape(-1)
            learned = not self._descent.of(operation.args[1]) and ids.tolist() == list(range(len(ids)))
        for result in tensors_in((operation.result,)):
            if learned:
                self._learned[result] = names[0]
            elif operation.in_place:
                self._learned.pop(result, None)

    def _concatenated(self, operation: Operation) -> None:
        parts, result = [part for part in operation.args[0] if part.numel()], operation.result  # a cache begins empty
        axis = operation.named().get("dim", 0) % max(1, result.dim())
        if axis == result.dim() - 1 or len(parts) < 2:
            return
        sizes = [part.shape[axis] if part.dim() == result.dim() else 0 for part in parts]
        self._parts[result] = [
            (self._sources.origin(part), self._name(part) or self._learned.get(part), size)
            for part, size in zip(parts, sizes, strict=True)
        ]
        columns: list[tuple[str | None, int, frozenset[Place]]] = []
        for part, size in zip(parts, sizes, strict=True):
            columns += self._columns.get(part) or [(self._label(part), size, frozenset(self._sources.places(part)))]
        self._columns[result] = tuple(columns)

    def of(self, queries: Tensor, keys: Tensor, count: int) -> Columns:
        """What each run of these `count` keys is; () where all are positions, or nothing can be told."""
        found = self._columns.get(keys)
        if found is not None:
            columns = self._of_parts(queries, found)
            own = self._learned.get(queries)  # learned queries (latents) that are among the keys are no extra ones
            fits = sum(size for _, size in columns) == count and (own is None or own not in dict(columns))
            return columns if fits and len({label is None for label, _ in columns}) == 2 else ()
        return self._before_projection(queries, keys, count)

    def _of_parts(self, queries: Tensor, parts: Iterable[tuple[str | None, int, frozenset[Place]]]) -> Columns:
        """The columns of keys whose parts were projected apart: what comes from elsewhere than the queries is memory."""
        read = self._sources.places(queries)
        mixed = any(label is None and read & places for label, _, places in parts)
        return tuple(
            (MEMORY if label is None and mixed and places and not read & places else label, size)
            for label, size, places in parts
        )  # fmt: skip

    def differ(self, queries: Tensor, keys: Tensor, count: int) -> bool | None:
        """`ProjectionSources.differ`, where vectors beside the sequence that were projected with it make no other source."""
        if self._before_projection(queries, keys, count):
            return False
        found = self._sources.differ(queries, keys)
        learned = [part in self._learned or memory_of(part) in self._parameters for part in (queries, keys)]
        return True if found is None and learned == [True, False] else found

    def _before_projection(self, queries: Tensor, keys: Tensor, count: int) -> Columns:
        read = self._sources.places(queries)
        for source in self._sources.tensors(keys):
            parts = self._parts.get(source, ())
            own = [(origin.data_ptr(), origin.numel()) in read for origin, _, _ in parts]
            if sum(size for _, _, size in parts) == count and any(own) and not all(own):
                return tuple(
                    (None if mine else label or MEMORY, size) for mine, (_, label, size) in zip(own, parts, strict=True)
                )
        return ()

    def forget(self) -> None:
        """Begin anew after an attention: what was a position of its sequence is a cached key to a later one."""
        self._columns.clear()
        self._parts.clear()

    def _label(self, part: Tensor) -> str | None:
        """What a part of the keys is; None where it was projected from positions of the sequence."""
        if part in self._learned:
            return self._learned[part]
        if self._sources.projected(part):
            return None
        return self._name(part) or (CACHE if bool(part.any()) else ZERO)

    def _name(self, tensor: object) -> str | None:
        if not isinstance(tensor, Tensor):
            return None
        return self._names.get(tensor) or self._parameters.get(memory_of(tensor))


def _last(name: str) -> str:
    """What a parameter is called in its module; a table of vectors is called as the module."""
    return name.removesuffix(".weight").rpartition(".")[2]
