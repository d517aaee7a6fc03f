"""Named tensors of a trace, in memory or still in their file: read whole or one head at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

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
    """Tensors of a run that has just been recorded; references, not copies."""

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._tensors = dict(tensors)

    def add(self, name: str, tensor: Tensor) -> None:
        self._tensors[name] = tensor

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def first(self, name: str, index: int) -> Tensor:
        return self._tensors[name][index]


class FileStore:
    """Tensors of a saved trace. The file is opened for each read (0.4 ms), so nothing stays locked or mapped."""

    def __init__(self, path: Path):
        from safetensors import safe_open

        self._open = lambda: safe_open(str(path), framework="pt")
        with self._open() as file:
            self._shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}

    def names(self) -> Iterable[str]:
        return self._shapes.keys()

    def __contains__(self, name: object) -> bool:
        return name in self._shapes

    def __getitem__(self, name: str) -> Tensor:
        with self._open() as file:
            return file.get_tensor(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def first(self, name: str, index: int) -> Tensor:
        with self._open() as file:
            return file.get_slice(name)[index]
