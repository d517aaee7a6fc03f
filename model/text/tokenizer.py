"""Text to ids and back for our own models: whole words, single characters or subwords, never a silent change.

A word that the vocabulary lacks is refused by name with its nearest known neighbours. The one folding there is, of
letter case where the vocabulary has the word in another one only, is reported in `Reading.folded`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from model.errors import EmptyText, TextTooLong, UnknownWords
from model.text import byte_pair
from model.text.truncation import Start, longest_start

PAD = "<pad>"
END = "</s>"
MASK = "<mask>"
# People write the gap in the way they know; the tokenizer's own sign is put in its place.
GAPS = ("[MASK]", MASK, "[mask]")
_LONGEST_NAMED = 40  # characters of an unknown word that a sentence quotes
_SPECIAL = re.compile(r"^<[^<>\s]+>$")
_PIECES = re.compile(r"[\w]+(?:['’-][\w]+)*['’]?|[^\w\s]", re.UNICODE)
_GAPS = re.compile("|".join(map(re.escape, GAPS)))


def pieces_of(text: str, kind: str) -> list[str]:
    """A text as its characters, or as words and marks; what no word covers (control characters, joiners) is left out."""
    text = unicodedata.normalize("NFC", text).strip()
    return list(text) if kind == "characters" else _PIECES.findall(text.replace("’", "'"))


def pieces_text(tokens: Sequence[str], kind: str) -> str:
    """Words with spaces between, characters without, subwords as the text that they spell."""
    if kind == "subwords":
        return byte_pair.text(tokens)
    return ("" if kind == "characters" else " ").join(tokens)


@dataclass(frozen=True)
class Reading:
    """What the model reads: ids, their tokens, and the (typed, read) pairs that differ only in case."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    folded: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Tokenizer:
    """`vocabulary[id]` is a token; `kind` is "words", "characters" or "subwords"; id 0 is reserved for padding.

    Where "<mask>" is among them, a gap in a text (see `GAPS`) is read as it. Of subwords, `spell` gives the tokens of a
    text, each with where it ends, `readable` how one reads to a person, and `specials` those that are no text.
    """

    vocabulary: tuple[str, ...]
    kind: str = "words"
    max_length: int = 100
    spell: Callable[[str], list[tuple[str, int]]] | None = field(default=None, repr=False, compare=False)
    readable: Callable[[str], str] = field(default=str, repr=False, compare=False)
    specials: frozenset[str] | None = None
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.vocabulary or self.vocabulary[0] != PAD:
            raise ValueError(
                f"id 0 is {self.vocabulary[:1]}, but it must be {PAD}: padding may not share a real token's id"
            )
        object.__setattr__(self, "ids", {token: i for i, token in enumerate(self.vocabulary)})

    def __len__(self) -> int:
        return len(self.vocabulary)

    def is_special(self, token: str) -> bool:
        marked = bool(_SPECIAL.match(token)) if self.specials is None else token in self.specials
        return marked and token in self.ids

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """How each token reads to a person, by id."""
        return tuple(map(self.readable, self.vocabulary))

    def read(self, text: str, side: str = "source") -> Reading:
        """Text -> `Reading`. Raises EmptyText, TextTooLong (before any word is looked up) or UnknownWords."""
        text = unicodedata.normalize("NFC", text).strip()
        if not text:
            raise EmptyText()
        pieces, lost = self._pieces(text)
        if len(pieces) > self.max_length:
            raise TextTooLong(got=len(pieces), allowed=self.max_length)
        tokens: list[str] = []
        folded: list[tuple[str, str]] = []
        # Characters that no piece covers (control characters, joiners) would vanish silently: they are unknown words.
        unknown: list[str] = [visible(c) for c in lost]
        for piece, _ in pieces:
            found = self._lookup(piece)
            if found is None:
                unknown.append(piece)
                continue
            tokens.extend(found)
            if (spelled := "".join(found)) != piece and piece not in GAPS:
                folded.append((piece, spelled))
        if unknown:
            unique = list(dict.fromkeys(unknown))
            kind = "characters" if self.kind == "characters" else "words"
            raise UnknownWords([(visible(word, cut=True), self.nearest(word)) for word in unique[:8]], side, kind)
        if len(tokens) > self.max_length:
            raise TextTooLong(got=len(tokens), allowed=self.max_length)
        return Reading(tuple(self.ids[t] for t in tokens), tuple(tokens), tuple(folded))

    def _pieces(self, text: str) -> tuple[list[tuple[str, int]], list[str]]:
        """(the pieces that are looked up, each with where it ends in `text`; the characters that are in none of them).

        A gap is one piece where the vocabulary has a token for it.
        """
        pieces, lost, at = [], [], 0
        gaps = [(gap.start(), gap.end()) for gap in _GAPS.finditer(text)] if MASK in self.ids else []
        for start, end in (*gaps, (len(text), None)):
            part = text[at:start]
            if self.kind == "characters":
                pieces += [(character, at + i + 1) for i, character in enumerate(part)]
            elif self.spell is not None:
                # The space before a word is a part of its first token, and a gap stands for a word with its space.
                pieces += [(piece, at + stop) for piece, stop in self.spell(part if end is None else part.rstrip())]
            else:
                part = part.replace("’", "'")
                pieces += [(piece[0], at + piece.end()) for piece in _PIECES.finditer(part)]
                lost += [c for c in _PIECES.sub("", part) if not c.isspace()]
            if end is not None:
                pieces.append((text[start:end], end))
                at = end
        return pieces, lost

    def start(self, text: str, reserved: int = 0) -> Start | None:
        """The longest start of `text` that is read, None where not even its first token is.

        reserved: tokens that must have room behind it.
        """
        ends = sorted({end for _, end in self._pieces(text)[0]})  # several tokens may spell one character

        def count(part: str) -> int:
            try:
                return len(self.read(part).ids)
            except TextTooLong as error:
                return int(error.values["got"])
            except (EmptyText, UnknownWords):  # said when it is run
                return bisect_right(ends, len(part))

        return longest_start(text, ends, count, self.max_length - reserved)

    def _lookup(self, piece: str) -> list[str] | None:
        """The tokens of one typed piece: itself, folded, or cut into known words where no spaces are written."""
        if piece in GAPS and MASK in self.ids:
            return [MASK]
        if self.spell is not None:
            return [piece] if piece in self.ids and not self.is_special(piece) else None
        for candidate in (piece, piece.lower(), piece.capitalize()):
            if candidate in self.ids and not self.is_special(candidate):
                return [candidate]
        return None if self.kind == "characters" else self._segment(piece.lower())

    def _segment(self, piece: str) -> list[str] | None:
        """The fewest known words that spell `piece` (Chinese has no spaces; French elides), or None."""
        best: list[list[str] | None] = [[]] + [None] * len(piece)
        joined = {
            t for t in self.vocabulary if not self.is_special(t) and (is_han(t) or t.endswith("'") or not t.isalpha())
        }
        for end in range(1, len(piece) + 1):
            for start in range(max(0, end - 12), end):
                word, before = piece[start:end], best[start]
                whole_tail = start > 0 and piece[start - 1] == "'" and end == len(piece)
                if before is None or not (word in joined or (whole_tail and word in self.ids)):
                    continue
                if best[end] is None or len(before) + 1 < len(best[end]):
                    best[end] = [*before, word]
        return best[-1] or None

    def nearest(self, word: str, count: int = 3) -> list[str]:
        """Known words that are spelled most alike, best first."""
        known = [token for token in self.vocabulary if not self.is_special(token)]
        close = difflib.get_close_matches(word.lower(), known, n=count, cutoff=0.7)
        return close or [token for token in known if len(word) > 2 and token.startswith(word[:2].lower())][:count]

    def text(self, tokens: list[str] | tuple[str, ...]) -> str:
        """Tokens -> readable text, specials left out."""
        words = [self.readable(token) for token in tokens if not self.is_special(token)]
        return (" " if self.kind == "words" else "").join(words)


def is_han(text: str) -> bool:
    """Whether a text is of Han characters only."""
    return all("\u3400" <= c <= "\u9fff" for c in text)


def visible(text: str, cut: bool = False) -> str:
    """Control and other invisible characters as U+XXXX; `cut`: a very long word shortened, as a sentence names it."""
    shown = text if not cut or len(text) <= _LONGEST_NAMED else text[:_LONGEST_NAMED] + "…"
    return "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in shown)
