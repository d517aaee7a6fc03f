"""Edits worked out on a run: which sub-layers and heads they name there, and the numbers of other runs that they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from model.edits.heads import Heads
from model.edits.run_edits import Replaced, RunEdits
from model.edits.scores import ScoreEdits, Step
from model.edits.site_edits import ContextEdit, SiteEdits
from model.errors.edits import NothingToEdit, OtherLength


@runtime_checkable
class Edit(Protocol):
    """One change of a run: frozen data whose `str` is its text form.

    kind: the word that the form begins with. of_attention: whether it changes heads, and not an activation beside them.
    """

    kind: str
    example: str

    @property
    def of_attention(self) -> bool: ...

    def work_out(self, plan: Plan) -> None:
        """Add what it does to the plan, on the run that the plan is of. Raises NothingToEdit."""
        ...


class Plan:
    """What the edits of one run come to. base: the run without them, a `model.trace.Trace`.

    reference: the run of another text with which a patch is made, of the same written tokens where a decoder writes.
    references: runs over which means are taken. named: the record's own name of an activation (`encoder.1.stream`).
    """

    def __init__(
        self, base: Any, reference: Callable[[str], Any], references: Callable[[], Sequence[Any]],
        named: Callable[[str], str] = str,
    ):  # fmt: skip
        self.base, self.reference, self.references, self.named = base, reference, references, named
        self.scores: dict[str, list[Step]] = {}
        self.contexts: dict[str, list[ContextEdit]] = {}
        self.activations: dict[str, list[Replaced]] = {}

    def heads(self, edit: object, heads: Heads) -> list[tuple[str, Any, frozenset[int]]]:
        """(site, record, heads) of what is meant. Raises NothingToEdit with what there is."""
        found = [
            (str(site), record, heads.of(record.heads))
            for site, record in self.base.attention.items()
            if heads.at(site)
        ]
        if not any(which for _, _, which in found):
            sites = list(map(str, self.base.attention))
            there = f"{', '.join(sites[:6])}{' …' if len(sites) > 6 else ''}"
            heads_of = max(record.heads for record in self.base.attention.values())
            raise NothingToEdit(got=edit, reason=f"there are {there}, with at most {heads_of} heads")
        return [each for each in found if each[2]]

    def check(self, edit: object, what: str, at: int | None, count: int) -> None:
        """Raises NothingToEdit for a position beyond the last."""
        if at is not None and at >= count:
            raise NothingToEdit(got=edit, reason=f"{what} {at} is beyond the last, {count - 1}")

    def score(self, site: str, step: Step) -> None:
        self.scores.setdefault(site, []).append(step)

    def context(self, site: str, edit: ContextEdit) -> None:
        self.contexts.setdefault(site, []).append(edit)

    def replace(self, name: str, replaced: Replaced) -> None:
        self.activations.setdefault(name, []).append(replaced)

    def means(self, site: str, heads: frozenset[int]) -> dict[int, Tensor]:
        """The mean context of each head over all positions of the reference runs that have the sub-layer: [d_v]."""
        runs = [run for run in self.references() if any(str(one) == site for one in run.attention)]
        return {
            head: torch.cat([run.record(site).head("context", head, torch.float64) for run in runs]).mean(0)
            for head in heads
        }

    def other(self, edit: object, text: str) -> Any:
        """The run of another text. Raises OtherLength where it has not the tokens of this one."""
        run = self.reference(text)
        for name, side in self.base.sides.items():
            # What was written after a text is no part of it.
            alone = len(self.base.sides) == 1
            length = int(self.base.facts.get("prompt", len(side.tokens))) if alone else len(side.tokens)
            got = len(run.sides[name].tokens) if name in run.sides else 0
            if got != length:
                raise OtherLength(got=got, allowed=length, side=name)
        return run

    def worked_out(self, edits: Sequence[Edit]) -> RunEdits:
        """Everything, in the order of the edits."""
        for edit in edits:
            edit.work_out(self)
        names = list(dict.fromkeys([*self.scores, *self.contexts]))
        sites = {
            name: SiteEdits(ScoreEdits(tuple(self.scores[name])) if name in self.scores else None,
                            tuple(self.contexts.get(name, ())))
            for name in names
        }  # fmt: skip
        activations: Mapping[str, tuple[Replaced, ...]] = {name: tuple(each) for name, each in self.activations.items()}
        return RunEdits(sites, activations, tuple(map(str, edits)))


class Recorded(Plan):
    """The same of a run that was recorded with the edits in it: what was put in place of a context is what is recorded there."""

    def __init__(self, run: Any):
        super().__init__(run, lambda _: run, lambda: [run])

    def means(self, site: str, heads: frozenset[int]) -> dict[int, Tensor]:
        return {head: self.base.record(site).head("context", head) for head in heads}

    def other(self, edit: object, text: str) -> Any:
        return self.base

    def worked_out(self, edits: Sequence[Edit]) -> RunEdits:
        return super().worked_out([edit for edit in edits if edit.of_attention])
