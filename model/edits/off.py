"""A head off: its context is zero, or its mean over reference texts; or scaled.

The kind of ablation decides the answer (Miller et al. 2024, "Transformer circuit faithfulness metrics are not robust"): zero is
a context that the model has never seen, the mean keeps what the head says always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from model.edits.heads import Heads, parted, position
from model.edits.plan import Plan
from model.edits.site_edits import ContextEdit

HOWS = ("zero", "mean")


@dataclass(frozen=True)
class Off:
    """`off:decoder.1.cross.1`, `off:decoder.1.cross.1:mean`, `off:decoder.1.cross.1:q4`."""

    heads: Heads
    how: str = "zero"
    query: int | None = None
    kind: ClassVar[str] = "off"
    example: ClassVar[str] = "off:decoder.1.cross.1 or off:decoder.1.cross.1:mean"
    of_attention: ClassVar[bool] = True

    @classmethod
    def parse(cls, target: str, words: list[str]) -> Off:
        found = cls(Heads.parse(target))
        for word in words:
            query = position(word, "q")
            if word not in HOWS and query is None:
                raise ValueError(f"“{word[:40]}” is none of zero, mean and q with a position")
            found = cls(found.heads, *((found.how, query) if query is not None else (word, found.query)))
        return found

    def __str__(self) -> str:
        how = "" if self.how == "zero" else f":{self.how}"
        return f"{self.kind}:{self.heads}{how}" + ("" if self.query is None else f":q{self.query}")

    def work_out(self, plan: Plan) -> None:
        for site, record, heads in plan.heads(self, self.heads):
            plan.check(self, "query", self.query, record.queries)
            put = plan.means(site, heads) if self.how == "mean" else None
            plan.context(site, ContextEdit(heads, 0.0, put, self.query))


@dataclass(frozen=True)
class Scale:
    """`scale:decoder.1.cross.1:0.5`: the context of a head times a factor."""

    heads: Heads
    factor: float
    query: int | None = None
    kind: ClassVar[str] = "scale"
    example: ClassVar[str] = "scale:decoder.1.cross.1:0.5"
    of_attention: ClassVar[bool] = True

    @classmethod
    def parse(cls, target: str, words: list[str]) -> Scale:
        heads, (queries, numbers) = Heads.parse(target), parted(words, "q")
        if len(numbers) != 1 or len(queries) > 1:
            raise ValueError("one factor is needed")
        factor = float(numbers[0])
        if not math.isfinite(factor) or abs(factor) > 1e6:
            raise ValueError("the factor is a number between −1,000,000 and 1,000,000")
        return cls(heads, factor, *queries)

    def __str__(self) -> str:
        return f"{self.kind}:{self.heads}:{self.factor:g}" + ("" if self.query is None else f":q{self.query}")

    def work_out(self, plan: Plan) -> None:
        for site, record, heads in plan.heads(self, self.heads):
            plan.check(self, "query", self.query, record.queries)
            plan.context(site, ContextEdit(heads, self.factor, None, self.query))
