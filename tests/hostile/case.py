"""`Case`, one hostile file: how it is made, what opens it. Makers add theirs to `CASES` with `case` or `cases`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

Maker = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Case:
    """make(folder, sound): writes into the empty `folder`, given the folder of sound originals, and returns what is opened.

    opens: the function of `tests.hostile.opening` that is called with it. told: a part of the sentence that refuses it, ""
    where any will do; "opens" where it may not be refused. red: the badge may say that the numbers do not fit.
    """

    name: str
    opens: str
    make: Maker
    told: str = ""
    red: bool = False


CASES: dict[str, Case] = {}


def case(name: str, opens: str, make: Maker, told: str = "", red: bool = False) -> None:
    """Add one."""
    assert name not in CASES, name
    CASES[name] = Case(name, opens, make, told, red)


def cases(kind: str, opens: str, make: Callable[..., object], lies: Iterable[tuple[object, ...]]) -> None:
    """Add one a lie, a tuple (name, arguments of `make` after its two folders …)."""
    for name, *arguments in lies:
        case(
            f"{kind}: {name}", opens, lambda folder, sound, arguments=tuple(arguments): make(folder, sound, *arguments)
        )
