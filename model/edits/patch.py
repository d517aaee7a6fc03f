"""An activation patched from the run of another text: a head's context, the stream, or a sub-layer's output.

Swaps are of texts with as many tokens, never of noise (Zhang & Nanda 2024, "Towards best practices of activation patching").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote, unquote

from model.edits.heads import Heads, parted
from model.edits.plan import Plan
from model.edits.run_edits import Replaced
from model.edits.site_edits import ContextEdit
from model.errors.edits import NothingToEdit

_TEXT = "text="
# The stream that enters a layer, what a sub-layer adds to it, and the hidden units of a feed-forward layer.
STREAM = re.compile(r"[a-z][a-z0-9_]*\.[0-9]{1,5}\.(stream|(self|cross|ffn)\.output)")
UNITS = re.compile(r"[a-z][a-z0-9_]*\.[0-9]{1,5}\.ffn")


@dataclass(frozen=True)
class Patch:
    """`patch:decoder.1.cross.1:q4:text=the%20cat`, `patch:encoder.1.stream:q2:text=…`, `patch:encoder.0.ffn.output:text=…`.

    Without a position all of them are patched.
    """

    where: Heads | str
    text: str
    query: int | None = None
    kind: ClassVar[str] = "patch"
    example: ClassVar[str] = "patch:encoder.1.stream:q2:text=the%20cat"

    @property
    def of_attention(self) -> bool:
        return not isinstance(self.where, str)

    @classmethod
    def parse(cls, target: str, words: list[str]) -> Patch:
        queries, rest = parted(words, "q")
        texts = [unquote(word.removeprefix(_TEXT)) for word in rest if word.startswith(_TEXT)]
        if len(rest) != 1 or len(texts) != 1 or len(queries) > 1 or not texts[0].strip():
            raise ValueError("another text is needed, text=…")
        where = target if STREAM.fullmatch(target) else Heads.parse(target)
        return cls(where, texts[0], *queries)

    def __str__(self) -> str:
        query = "" if self.query is None else f":q{self.query}"
        return f"{self.kind}:{self.where}{query}:{_TEXT}{quote(self.text, safe='')}"

    def work_out(self, plan: Plan) -> None:
        run = plan.other(self, self.text)
        if isinstance(self.where, str):
            name = plan.named(self.where)
            if name not in run.store:
                raise NothingToEdit(got=self, reason=f"no {self.where} is recorded of this model")
            value = run.store[name]
            plan.check(self, "position", self.query, value.shape[0])
            plan.replace(name, Replaced(value, self.query))
            return
        for site, record, heads in plan.heads(self, self.where):
            plan.check(self, "query", self.query, record.queries)
            other = {head: run.record(site).head("context", head) for head in heads}
            plan.context(site, ContextEdit(heads, 0.0, other, self.query))


@dataclass(frozen=True)
class Unit:
    """`neuron:encoder.1.ffn:17:0`: a hidden unit of a feed-forward layer set to a number, `:q2` at one position."""

    where: str
    unit: int
    value: float
    query: int | None = None
    kind: ClassVar[str] = "neuron"
    example: ClassVar[str] = "neuron:encoder.1.ffn:17:0"
    of_attention: ClassVar[bool] = False

    @classmethod
    def parse(cls, target: str, words: list[str]) -> Unit:
        if not UNITS.fullmatch(target):
            raise ValueError(f"“{target[:60]}” is no feed-forward layer: stack.layer.ffn")
        queries, numbers = parted(words, "q")
        if len(numbers) != 2 or len(queries) > 1 or not numbers[0].isdigit() or len(numbers[0]) > 7:
            raise ValueError("the number of a unit and its value are needed")
        value = float(numbers[1])
        if not abs(value) < 1e6:
            raise ValueError("the value is a number between −1,000,000 and 1,000,000")
        return cls(target, int(numbers[0]), value, *queries)

    def __str__(self) -> str:
        query = "" if self.query is None else f":q{self.query}"
        return f"{self.kind}:{self.where}:{self.unit}:{self.value:g}{query}"

    def work_out(self, plan: Plan) -> None:
        name = f"{self.where}.post"
        if name not in plan.base.store:
            raise NothingToEdit(got=self, reason=f"no hidden units of {self.where} are recorded of this model")
        n, units = plan.base.store.shape(name)
        plan.check(self, "unit", self.unit, units)
        plan.check(self, "position", self.query, n)
        plan.replace(name, Replaced(self.value, self.query, self.unit))
