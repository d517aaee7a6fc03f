"""Texts of one's own: their lines, cut into words, characters or subwords, and split so that no line stands in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from model.errors import DataNotRead, NotText, TooFewLines
from model.files.regular import NotRegular, text_of
from model.text.byte_pair import BytePair
from model.text.tokenizer import pieces_of

SPLITS = {"test": 1000, "validation": 300}  # lines of each at most, else a twentieth of all
_SHARE, _FEWEST = 20, 3
Item = TypeVar("Item")


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text that are not empty. Raises NotText or DataNotRead."""
    path = Path(path)
    try:
        text = text_of(path)
    except UnicodeDecodeError as error:
        raise NotText(name=path.name) from error
    except NotRegular as error:
        raise DataNotRead(path=path, reason=str(error)) from error
    except OSError as error:
        raise DataNotRead(path=path, reason=(error.strerror or str(error)).lower()) from error
    return [line.strip() for line in text.lstrip("\ufeff").splitlines() if line.strip()]


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """The first two columns of each line of a text with tabs between them, both of them filled. Raises as `read_lines`."""
    columns = [line.split("\t") for line in read_lines(path)]
    return [(row[0].strip(), row[1].strip()) for row in columns if len(row) > 1 and row[0].strip() and row[1].strip()]


def splits_of(items: Sequence[Item], key: Callable[[Item], str], path: str | Path) -> dict[str, list[Item]]:
    """{"train", "validation", "test"}: items of the same key in the same split, whatever order they come in.

    Raises TooFewLines where no split can be made.
    """
    digests = sorted({hashlib.sha256(key(item).encode()).digest() for item in items})
    if len(digests) < _FEWEST:
        raise TooFewLines(path=path, got=len(digests), allowed=_FEWEST)
    split, begin = dict.fromkeys(digests, "train"), 0
    for name, most in SPLITS.items():
        count = max(1, min(most, len(digests) // _SHARE))
        split |= dict.fromkeys(digests[begin : begin + count], name)
        begin += count
    found: dict[str, list[Item]] = {"train": [], "validation": [], "test": []}
    for item in items:
        found[split[hashlib.sha256(key(item).encode()).digest()]].append(item)
    return found


class Spelling:
    """Text -> tokens by words, characters or subwords; those are trained on `texts`."""

    def __init__(self, kind: str, texts: Sequence[str], size: int):
        self.kind = kind
        self.byte_pair = BytePair.trained(texts, size) if kind == "subwords" else None

    def __call__(self, text: str) -> tuple[str, ...]:
        return tuple(self.byte_pair.tokens(text) if self.byte_pair else pieces_of(text, self.kind))

    def json(self, first: Sequence[str]) -> str | None:
        """The tokenizer.json whose ids are those of a vocabulary that begins with the tokens `first`; None for the others."""
        return self.byte_pair.json(first) if self.byte_pair else None

    @property
    def every(self) -> tuple[str, ...]:
        """Tokens that may come up in other texts: all subwords; none is known of the others."""
        return self.byte_pair.vocabulary if self.byte_pair else ()
