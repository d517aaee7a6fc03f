"""Which heads an edit is of: `decoder.1.cross.1`, with `*` for any layer, kind or head, and no head for all of a sub-layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

ANY = "*"


@runtime_checkable
class SiteName(Protocol):
    """What is asked of `model.trace.site.Site`."""

    @property
    def stack(self) -> str: ...
    @property
    def layer(self) -> int: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Heads:
    """stack · layer · kind · head; None of the last three is any, and a stack is always named."""

    stack: str
    layer: int | None
    kind: str | None
    head: int | None

    @classmethod
    def parse(cls, text: str) -> Heads:
        """Raises ValueError in words."""
        parts = text.split(".")
        if len(parts) not in (3, 4):
            raise ValueError(f"“{text[:60]}” does not name heads: stack.layer.kind or stack.layer.kind.head")
        stack, layer, kind, head = *parts, *([ANY] * (4 - len(parts)))
        if not stack.replace("_", "a").isalnum() or not stack.isascii():
            raise ValueError(f"“{stack[:60]}” is no stack: encoder or decoder")
        if kind not in ("self", "cross", ANY):
            raise ValueError(f"“{kind[:60]}” is no kind of attention: self, cross or *")
        return cls(stack, _number(layer, "layer"), None if kind == ANY else kind, _number(head, "head"))

    def __str__(self) -> str:
        layer, kind, head = (ANY if part is None else part for part in (self.layer, self.kind, self.head))
        return f"{self.stack}.{layer}.{kind}" + ("" if self.head is None else f".{head}")

    def at(self, site: SiteName) -> bool:
        """Whether heads of this sub-layer are meant."""
        return site.stack == self.stack and self.layer in (None, site.layer) and self.kind in (None, site.kind)

    def of(self, heads: int) -> frozenset[int]:
        """Which of a sub-layer's `heads`, () where it has fewer."""
        every: Iterable[int] = range(heads) if self.head is None else [self.head] if self.head < heads else []
        return frozenset(every)


def _number(text: str, what: str) -> int | None:
    if text == ANY:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError(f"“{text[:60]}” is no {what}: a whole number from 0, or *")
    return int(text)


def position(text: str, letter: str) -> int | None:
    """The number of `q4` or `k3`, None of anything else."""
    number = text.removeprefix(letter)
    return int(number) if text != number and number.isascii() and number.isdigit() and len(number) < 8 else None


def parted(words: list[str], letter: str) -> tuple[list[int], list[str]]:
    """(the numbers of the words that are positions of this letter, the other words)."""
    rest = [word for word in words if position(word, letter) is None]
    return [at for word in words if (at := position(word, letter)) is not None], rest
