"""Identity of a run: the key of its caches, and the tokens that each stack read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TraceKey:
    """What a run is: equal keys give equal traces, so caches are keyed on it."""

    model: str
    weights_hash: str
    source: str
    target: str | None = None
    options: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Side:
    """The tokens of one stack, as the model read them.

    shown: how each reads to a person where that is not `tokens` itself (byte-level alphabets decoded). words: which word
    each token belongs to, −1 for none (special tokens). segments: 0 or 1 where a pair of texts was read. Each may be ().
    """

    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    special: tuple[bool, ...]
    shown: tuple[str, ...] = ()
    words: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """What a person reads: `shown`, else the tokens themselves."""
        return self.shown or self.tokens
