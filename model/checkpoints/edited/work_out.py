"""What edits come to in a run of an opened model: the run without them, the runs of other texts that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from model.edits.parse import parse_all
from model.edits.plan import Edit, Plan
from model.edits.run_edits import RunEdits
from model.errors import HeadlightError
from model.trace.trace import Trace

REFERENCES = 8  # texts over which the mean of a head is taken
_WRITING = ("new_tokens",)  # what is asked of one text and not of another that is read beside it


def work_out(
    model: Any, edits: Sequence[Edit | str], text: str, target: str | None, given: Mapping[str, object],
    named: Callable[[str], str] = str,
) -> tuple[RunEdits, Mapping[str, object]]:  # fmt: skip
    """What `edits` change in the run of `text`, and the facts of the run without them.

    given: what `model.trace` is asked besides. named: an activation's own name in the record. Raises BadEdit, NothingToEdit,
    OtherLength, and as `model.trace` for a text to patch from.
    """
    parsed = parse_all(edits)
    if not parsed:
        return RunEdits(), {}
    base = model.trace(text, target, **given)
    others = {name: value for name, value in given.items() if name not in _WRITING}

    def reference(other: str) -> Trace:
        """Of what a decoder wrote here, so that the two runs differ in what they read alone."""
        written = base.between.join(base.side("decoder").texts[1:]) if model.decodes else None
        return model.trace(other, written, **others)

    def references() -> list[Trace]:
        """The model's own examples, as far as it reads them; without any, the text itself."""
        found = []
        for example in list(model.card.get("examples", []))[:REFERENCES]:
            with suppress(HeadlightError):
                found.append(model.trace(str(example), **others))
        return found or [base]

    return Plan(base, reference, references, named).worked_out(parsed), base.facts
