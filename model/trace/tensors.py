"""Named tensors of a trace, in memory or still in their file: read whole or one head at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Protocol, runtime_checkable

from cachetools import LRUCache, cachedmethod
from torch import Tensor


@runtime_checkable
class Store(Protocol):
    """What a trace needs of its tensors."""

    def names(self) -> Iterable[str]: ...

    def __contains__(self, name: object) -> bool: ...

    def __getitem__(self, name: str) -> Tensor: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def first(self, name: str, index: int) -> Tensor:
        """`store[name][index]` without reading the rest."""
        ...


class MemoryStore:
    """Tensors of a run that has just been recorded; references, not copies, and some that are made when looked at."""

    _MADE = 2  # of those, the last so many are held

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._tensors = dict(tensors)
        self._lazy: dict[str, tuple[tuple[int, ...], Callable[[], Tensor]]] = {}
        self._made: LRUCache = LRUCache(self._MADE)
        self._lock = threading.Lock()

    def add(self, name: str, tensor: Tensor) -> None:
        self._tensors[name] = tensor

    @property
    def lazy(self) -> frozenset[str]:
        """Names whose tensors are made when they are looked at."""
        return frozenset(self._lazy)

    def add_lazy(self, name: str, shape: tuple[int, ...], make: Callable[[], Tensor]) -> None:
        """A tensor that `make` gives when it is read; it stands among the names from now on."""
        self._lazy[name] = (tuple(shape), make)

    def names(self) -> Iterable[str]:
        return [*self._tensors, *self._lazy]

    def held(self) -> Iterable[Tensor]:
        """The tensors that are in memory now."""
        with self._lock:
            return [*self._tensors.values(), *self._made.values()]

    def __contains__(self, name: object) -> bool:
        return name in self._tensors or name in self._lazy

    def __getitem__(self, name: str) -> Tensor:
        if name in self._tensors or name not in self._lazy:
            return self._tensors[name]
        return self._make(name)

    @cachedmethod(attrgetter("_made"), lock=attrgetter("_lock"))
    def _make(self, name: str) -> Tensor:
        return self._lazy[name][1]()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._lazy[name][0] if name in self._lazy else tuple(self._tensors[name].shape)

    def first(self, name: str, index: int) -> Tensor:
        return self[name][index]


class FileStore:
    """Tensors of a saved trace. The file is opened for each read (0.4 ms), so nothing stays locked or mapped."""

    def __init__(self, path: Path):
        from safetensors import safe_open

        self._open = lambda: safe_open(str(path), framework="pt")
        with self._open() as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            self._shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            self._dtypes = {name: part.get_dtype() for name, part in slices.items()}

    def names(self) -> Iterable[str]:
        return self._shapes.keys()

    def __contains__(self, name: object) -> bool:
        return name in self._shapes

    def __getitem__(self, name: str) -> Tensor:
        with self._open() as file:
            return file.get_tensor(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def dtype(self, name: str) -> str:
        """The kind of numbers, as the file says it: "F32", "U8"."""
        return self._dtypes[name]

    def first(self, name: str, index: int) -> Tensor:
        with self._open() as file:
            return file.get_slice(name)[index]
