"""A key hidden from a head: its score is −∞ before the softmax, for one query (an edge) or for all (a column)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from model.edits.heads import Heads, parted
from model.edits.plan import Plan
from model.edits.scores import Hidden

KEEPING = "keep"


@dataclass(frozen=True)
class Hide:
    """`hide:decoder.1.cross.1:q4:k3`, `hide:encoder.*.*:k2`; with `:keep` the other weights stay what they were."""

    heads: Heads
    key: int
    query: int | None = None
    keeping: bool = False
    kind: ClassVar[str] = "hide"
    example: ClassVar[str] = "hide:decoder.1.cross.1:q4:k3 or hide:encoder.*.*:k2"
    of_attention: ClassVar[bool] = True

    @classmethod
    def parse(cls, target: str, words: list[str]) -> Hide:
        queries, rest = parted(words, "q")
        keys, rest = parted(rest, "k")
        if len(keys) != 1 or len(queries) > 1 or rest not in ([], [KEEPING]):
            raise ValueError("one key k is needed, and one query q may be given")
        return cls(Heads.parse(target), keys[0], queries[0] if queries else None, bool(rest))

    def __str__(self) -> str:
        query = "" if self.query is None else f":q{self.query}"
        return f"{self.kind}:{self.heads}{query}:k{self.key}" + (f":{KEEPING}" if self.keeping else "")

    def work_out(self, plan: Plan) -> None:
        found = plan.heads(self, self.heads)
        longest = max((record.queries for _, record, _ in found), default=0)
        plan.check(self, "query", self.query, longest)
        plan.check(self, "key", self.key, max(record.keys for _, record, _ in found))
        for site, _record, heads in found:
            plan.score(site, Hidden(heads, self.query, self.key, self.keeping))
