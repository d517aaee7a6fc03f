"""Examples that somebody types into a field, one a line."""

from __future__ import annotations

import re

from model.data_files.read import Line

# A field of a browser takes no tab from the keyboard; a text that was pasted has them.
_BETWEEN = re.compile(r"\s*\t\s*|\s+(?:\||=>)\s+")


def typed_lines(text: str) -> list[Line]:
    """Lines of a source alone, or of a source and its target with a tab, " | " or " => " between them; empty ones left out."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        source, *target = _BETWEEN.split(line.strip(), maxsplit=1)
        if source:
            found.append(Line(number, source, target[0] if target else None))
    return found
