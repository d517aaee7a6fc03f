"""`Site`, the address of an attention sub-layer: `encoder.0.self`, `decoder.3.cross`. Layers count from 0, as in the code."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(encoder|decoder)\.([0-9]+)\.(self|cross)")


@dataclass(frozen=True, order=True)
class Site:
    """One attention sub-layer. Queries come from `stack`; keys and values too, except where `kind` is "cross"."""

    stack: str
    layer: int
    kind: str

    @classmethod
    def parse(cls, text: str | Site) -> Site:
        """`"decoder.1.cross"` -> Site; raises ValueError with the allowed form otherwise."""
        found = _FORM.fullmatch(str(text))
        if found is None:
            raise ValueError(
                f"{str(text)!r} is not a site: write it as encoder.0.self, decoder.0.self or decoder.0.cross"
            )
        return cls(found[1], int(found[2]), found[3])

    def __str__(self) -> str:
        return f"{self.stack}.{self.layer}.{self.kind}"

    @property
    def query_side(self) -> str:
        return self.stack

    @property
    def key_side(self) -> str:
        return "encoder" if self.kind == "cross" else self.stack
