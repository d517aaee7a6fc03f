"""The small trained models by name."""

from __future__ import annotations

from model.errors import UnknownOption
from model.small_families import denoising, masked, next_word, permutation, spans
from model.small_families.family import SmallFamily

_FILES = (masked, next_word, spans, denoising, permutation)
SMALL = {family.name: family for file in _FILES for family in file.FAMILIES}


def small_family(name: str) -> SmallFamily:
    """The family called `name`. Raises UnknownOption."""
    if name not in SMALL:
        raise UnknownOption(what="Model", got=name, allowed=", ".join(SMALL))
    return SMALL[name]
