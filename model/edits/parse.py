"""Edits and their text form: the link, the command line and the key of a run all use it, and it parses back."""

from __future__ import annotations

from collections.abc import Iterable

from model.edits.hide import Hide
from model.edits.off import Off, Scale
from model.edits.patch import Patch, Unit
from model.edits.pattern import Pattern
from model.edits.plan import Edit
from model.errors.edits import BadEdit

KINDS = {kind.kind: kind for kind in (Off, Scale, Hide, Pattern, Patch, Unit)}
MOST = 200  # edits of one run


def parse(text: str) -> Edit:
    """`"off:decoder.1.cross.1"` -> Off(…). Raises BadEdit."""
    name, _, rest = text.strip().partition(":")
    kind = KINDS.get(name)
    if kind is None:
        raise BadEdit(got=text[:80], reason=f"it begins with none of {', '.join(KINDS)}", example=Off.example)
    target, *words = rest.split(":")
    try:
        return kind.parse(target, words)
    except ValueError as error:
        raise BadEdit(got=text[:80], reason=str(error)[:120], example=kind.example) from error


def parse_all(edits: Iterable[Edit | str]) -> tuple[Edit, ...]:
    """Edits, some or all of them in their text form. Raises BadEdit."""
    found = tuple(parse(edit) if isinstance(edit, str) else edit for edit in edits)
    if len(found) > MOST:
        raise BadEdit(got=f"{len(found)} edits", reason=f"a run takes {MOST} at most", example=Off.example)
    return found
