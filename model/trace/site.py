"""`Site`, the address of an attention sub-layer: `encoder.0.self`, `decoder.3.cross`. Layers count from 0, as in the code."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

_FORM = re.compile(r"([a-z][a-z0-9_]*)\.([0-9]{1,9})\.(self|cross)")


@dataclass(frozen=True, order=True)
class Site:
    """One attention sub-layer. Queries come from `stack`; keys and values too, except where `kind` is "cross".

    stack: "encoder" or "decoder"; in a foreign module with more of them, the name of its part ("image_encoder"), and of its
    step in a loop ("decoder_step_2"); of a second attention of its kind in a layer also the name of its module
    ("decoder_image_cross"). sides: which lists of tokens name rows and columns, where those are not the stack's
    and, in cross-attention, the encoder's: layers of other lengths, keys beside the sequence.
    """

    stack: str
    layer: int
    kind: str
    sides: tuple[str, str] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self):
        if self.sides == (self.stack, "encoder" if self.kind == "cross" else self.stack):
            object.__setattr__(self, "sides", None)

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
    def home(self) -> str:
        """The stack whose layer this is part of: its own, or where two of a kind share a layer, that of the first."""
        return self.query_side.partition(".")[0]

    @property
    def query_side(self) -> str:
        return self.stack if self.sides is None else self.sides[0]

    @property
    def key_side(self) -> str:
        if self.sides is not None:
            return self.sides[1]
        return "encoder" if self.kind == "cross" else self.stack


def predicting_side(sides: Container[str], sites: Sequence[Site]) -> str:
    """The side whose positions a run's logits belong to: the decoder's, else that of its last attention."""
    return "decoder" if "decoder" in sides else sites[-1].query_side


def layer_numbers(paths: Sequence[str]) -> list[int]:
    """The number in each module path that tells the layers apart; 0, 1, … where no single one does."""
    digits = [[int(part) for part in path.split(".") if part.isdigit()] for path in paths]
    places = range(min(map(len, digits), default=0))
    telling = [at for at in places if len({numbers[at] for numbers in digits}) > 1]
    at = telling[0] if telling else 0
    if places:
        found = [numbers[at] for numbers in digits]
        if len(set(found)) == len(found):
            return found
    return list(range(len(paths)))
