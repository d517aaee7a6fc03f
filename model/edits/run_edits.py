"""A run's edits, worked out: what happens at which sub-layer and to which activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from model.edits.site_edits import SiteEdits


@dataclass(frozen=True, eq=False)
class Replaced:
    """Numbers put in place of an activation [n, ·]: at one position (row) or, where it is None, at all; in all its columns or
    in one (a hidden unit)."""

    value: Tensor | float
    row: int | None = None
    column: int | None = None

    def put_in(self, activation: Tensor) -> Tensor:
        """activation: [..., n, ·] -> the same with the numbers in it."""
        rows = slice(None) if self.row is None else slice(self.row, self.row + 1)
        columns = slice(None) if self.column is None else slice(self.column, self.column + 1)
        activation, value = activation.clone(), self.value
        if isinstance(value, Tensor):  # of another text, after which this one may have been written on
            rows = slice(0, len(value)) if self.row is None else rows
            value = value[rows].to(activation)
        activation[..., rows, columns] = value
        return activation


@dataclass(frozen=True, eq=False)
class RunEdits:
    """sites: by the name of a sub-layer; activations: by the name in the record (`encoder.1.stream`, `encoder.0.ffn.post`).

    texts: the text forms, in their order.
    """

    sites: Mapping[str, SiteEdits] = field(default_factory=dict)
    activations: Mapping[str, tuple[Replaced, ...]] = field(default_factory=dict)
    texts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sites or self.activations)

    @property
    def options(self) -> tuple[tuple[str, object], ...]:
        """What it adds to the key of a run."""
        return (("edits", " ".join(self.texts)),) if self.texts else ()

    @property
    def facts(self) -> dict[str, object]:
        """What it adds to the facts of a run."""
        return {"edits": list(self.texts)} if self.texts else {}

    def activation(self, name: str, given: Tensor) -> Tensor:
        """An activation with what is put in its place, in the order of the edits."""
        for one in self.activations.get(name, ()):
            given = one.put_in(given)
        return given
