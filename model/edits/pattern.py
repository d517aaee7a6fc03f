"""A head's rows replaced by a pattern: even, the first key, the previous token, itself, another head's rows, or numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from model.edits.heads import Heads, position
from model.edits.hide import KEEPING
from model.edits.plan import Plan
from model.edits.scores import SHAPES, Put
from model.errors.edits import NothingToEdit

_HEAD, _ROW = "head", "row="
_LONGEST = 4096  # numbers of a row that is drawn by hand


@dataclass(frozen=True)
class Pattern:
    """`pattern:encoder.0.self.1:uniform` (also first, previous, itself), `…:head2`, `…:q4:row=0.5,0.5`.

    Rows sum to 1 unless numbers are given with `:keep`; weights on masked keys count nothing.
    """

    heads: Heads
    shape: str = ""
    other: int | None = None
    row: tuple[float, ...] = ()
    query: int | None = None
    keeping: bool = False
    kind: ClassVar[str] = "pattern"
    example: ClassVar[str] = "pattern:encoder.0.self.1:uniform or pattern:encoder.0.self.1:q4:row=0.5,0.5"
    of_attention: ClassVar[bool] = True

    @classmethod
    def parse(cls, target: str, words: list[str]) -> Pattern:
        heads, told = Heads.parse(target), {}
        for word in words:
            query, other = position(word, "q"), position(word, _HEAD)
            if query is not None:
                told["query"] = query
            elif other is not None:
                told["other"] = other
            elif word in SHAPES:
                told["shape"] = word
            elif word == KEEPING:
                told["keeping"] = True
            elif word.startswith(_ROW):
                told["row"] = _numbers(word.removeprefix(_ROW))
            else:
                raise ValueError(
                    f"“{word[:40]}” is none of {', '.join(SHAPES)}, head with a number and row= with numbers"
                )
        if sum(name in told for name in ("shape", "other", "row")) != 1 or len(told) != len(words):
            raise ValueError("one pattern is needed")
        if told.get("keeping") and ("row" not in told or sum(told["row"]) > 1):
            raise ValueError("only numbers that sum to 1 at most can be kept as they are")
        return cls(heads, **told)

    def __str__(self) -> str:
        query = "" if self.query is None else f":q{self.query}"
        shape = self.shape or (
            f"{_HEAD}{self.other}" if self.other is not None else _ROW + ",".join(f"{x:g}" for x in self.row)
        )
        return f"{self.kind}:{self.heads}{query}:{shape}" + (f":{KEEPING}" if self.keeping else "")

    def work_out(self, plan: Plan) -> None:
        for site, record, heads in plan.heads(self, self.heads):
            plan.check(self, "query", self.query, record.queries)
            if self.other is not None:
                plan.check(self, "head", self.other, record.heads)
            if self.shape in ("previous", "itself") and record.queries != record.keys:
                raise NothingToEdit(got=self, reason=f"the keys of {site} are not its queries")
            if len(self.row) > record.keys:
                raise NothingToEdit(got=self, reason=f"{len(self.row)} weights were given for {record.keys} keys")
            plan.score(site, Put(heads, self.query, self.shape, self.other, self.row, self.keeping))


def _numbers(text: str) -> tuple[float, ...]:
    found = tuple(float(number) for number in text.split(","))
    if len(found) > _LONGEST or not all(math.isfinite(x) and x >= 0 for x in found) or not sum(found) > 0:
        raise ValueError(f"weights are at most {_LONGEST} numbers from 0, some above it")
    return found
