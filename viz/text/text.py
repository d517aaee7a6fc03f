"""A text as people read it, token by token, and what a head does from one of its tokens: frames and tables.

The text is sent once; a click sends one row of float32 numbers, however long the text is.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from model.trace.per_trace import PerTrace
from model.trace.site import Site
from viz.base import tokens
from viz.base.payload import pack

if TYPE_CHECKING:
    from model.trace.trace import Side, Trace

TOP = 15  # tokens that the list names
MODES = ("attends", "attended")
# How a token follows the one before it: at once, after a gap that we put there for reading, after a space that is its own
# first character, or as the rest of a word (WordPiece's ##).
JOINED, GAP, SPACE, REST = 0, 1, 2, 3
_HAN = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
# Apostrophes and hyphens stand inside of words.
_CLOSING, _OPENING = ".,!?;:)]}%…”’'-", "([{“‘’'-"


_frames: PerTrace[bytes] = PerTrace()


@dataclass(frozen=True)
class Flow:
    """One text: what is seen of each token, how it follows the one before, its kind, and after which a line ends."""

    texts: tuple[str, ...]
    follows: tuple[int, ...]
    kinds: tuple[str, ...]
    breaks: tuple[int, ...]


def flow(side: Side) -> Flow:
    """The tokens of a side as a text that wraps: spaces where the tokens have them, or else where a reader expects them.

    Numbers that stand for positions without a text of their own are set apart, each from the next.
    """
    raw = list(side.texts)
    words = [text for text, special in zip(raw, side.special, strict=True) if not special]
    own = any(text.startswith(" ") or text.endswith(" ") for text in words)
    letters = sum(len(text) == 1 for text in words) > 0.7 * len(words)
    numbers = tokens.only_numbers(side)
    texts, follows, kinds, breaks, late = [], [], [], [], False
    for i, text in enumerate(raw):
        special, bare = side.special[i], text.strip(" ") or text
        how = SPACE if late or (text != bare and text.startswith(" ")) else JOINED
        if text.startswith("##") and not special and len(text) > 2:
            bare, how = text[2:], REST
        elif special or (i and side.special[i - 1]):
            how = max(how, GAP) if i else JOINED
        elif numbers:
            how = GAP if i else JOINED
        elif not own and not letters:
            how = GAP if i and _gap(side, i) else JOINED
        late = text != bare and text.endswith(" ")  # some vocabularies end their words instead of beginning them
        label = tokens.label(bare, special)
        texts.append(label["text"])
        kinds.append(label["kind"])
        follows.append(how)
        if "\n" in text and not special:
            breaks.append(i)
    return Flow(tuple(texts), tuple(follows), tuple(kinds), tuple(breaks))


def _gap(side: Side, i: int) -> bool:
    """Whether a reader expects a space before token `i` of a vocabulary that keeps none."""
    before, here = side.texts[i - 1], side.texts[i]
    if side.words and side.words[i] != -1 and side.words[i] == side.words[i - 1]:
        return False
    if not before or not here or (_HAN.match(before[-1]) and _HAN.match(here[0])):
        return False
    return here not in _CLOSING and before not in _OPENING


@dataclass(frozen=True, eq=False)
class TokenAttention:
    """What some heads do from one token.

    heads: (site, head) of each; mode "attends": values [k] is what query `index` attends to; "attended": values [q] is
    how much each query attends to key `index`. float64; allowed: bool, False where no head may. how: "mean", "max" or ""
    for one head.
    """

    heads: tuple[tuple[Site, int], ...]
    mode: str
    index: int
    values: np.ndarray
    allowed: np.ndarray
    how: str = ""

    @property
    def largest(self) -> float:
        finite = self.values[self.allowed & np.isfinite(self.values)]
        return float(finite.max()) if finite.size else 0.0

    @property
    def second(self) -> float:
        """The largest but one."""
        finite = self.values[self.allowed & np.isfinite(self.values)]
        return float(np.partition(finite, -2)[-2]) if finite.size > 1 else self.largest

    def top(self, most: int = TOP) -> list[tuple[int, float]]:
        """(place, value) of the largest values above 0, largest first."""
        order = np.argsort(-np.where(self.allowed, self.values, -1.0), kind="stable")[:most]
        return [(int(i), float(self.values[i])) for i in order if self.values[i] > 0]


def token_attention(trace: Trace, heads: Sequence[tuple[Site, int]], mode: str, index: int, how: str) -> TokenAttention:
    """`TokenAttention` of heads between the same two texts; their mean or, token by token, their largest weight."""
    from model.attention import rows as head_rows

    made = head_rows.row if mode == "attends" else head_rows.column
    each = [made(trace.record(site), head, index) for site, head in heads]
    one = len(each) == 1
    values = each[0] if one else head_rows.combined(each, how)
    allowed = _allowed(trace, heads, mode, index)
    return TokenAttention(tuple(heads), mode, index, values.numpy(), allowed, "" if one else how)


def _allowed(trace: Trace, heads: Sequence[tuple[Site, int]], mode: str, index: int) -> np.ndarray:
    """bool, where one of the heads may attend to, or be asked from, in a run."""
    at = slice(index, index + 1)
    each = [trace.record(site).allowed(*((at,) if mode == "attends" else (slice(None), at))) for site, _ in heads]
    return np.logical_or.reduce([one.numpy().ravel() for one in each])


def text_id(trace: Trace, site: Site) -> str:
    """Which texts a frame is about; a row is drawn on no other ones."""
    sides = [site.query_side, site.key_side, *(text for side in trace.sides.values() for text in side.texts)]
    return f"{zlib.crc32(chr(0).join(sides).encode('utf-8', 'surrogatepass')):08x}"


def text_frame(trace: Trace, site: Site, words: dict[str, str], names: Sequence[str]) -> bytes:
    """The text of the queries and, in cross-attention, that of the keys; nothing of a head or a selection.

    names: what the text of the queries and that of the keys are called.

    It is made once for each text and language, so that a click costs its row alone.
    """
    key = (site.query_side, site.key_side, *words.values(), *names)
    return _frames.get(trace, key, lambda: _text_frame(trace, site, words, names))


def _text_frame(trace: Trace, site: Site, words: dict[str, str], names: Sequence[str]) -> bytes:
    sides = dict(zip((site.query_side, site.key_side), names, strict=True))
    texts = []
    for side, name in sides.items():
        found = flow(trace.side(side))
        texts.append({
            "side": side,
            "title": name,
            "roles": [role for role, of in (("query", site.query_side), ("key", site.key_side)) if of == side],
            "tokens": list(found.texts),
            "follows": "".join(map(str, found.follows)),
            "kinds": "".join(kind[0] if kind != "space" else "_" for kind in found.kinds),  # w, s or _
            "breaks": list(found.breaks),
            # A decoder's query has just read one token and is about to write the next.
            "writes": [label["text"] for label in tokens.written_labels(trace)] if side == "decoder" else [],
        })  # fmt: skip
    return pack({"of": text_id(trace, site), "texts": texts, "words": words})


def row_frame(
    trace: Trace, attention: TokenAttention, end: float, other: int, words: dict[str, str], most: int = TOP
) -> bytes:  # fmt: skip
    """One row: values float32, and the list of the largest. `end` has the darkest colour; `other` is the selected end.

    words: the sentences listed, rest and legend.
    """
    site = attention.heads[0][0]
    listed = attention.top(most)
    labels = tokens.key_labels(trace, site) if attention.mode == "attends" else tokens.query_labels(trace, site)
    header: dict[str, Any] = {
        "of": text_id(trace, site),
        "mode": attention.mode,
        "index": attention.index,
        "other": other,
        "end": end,
        "side": site.key_side if attention.mode == "attends" else site.query_side,
        "masked": runs(~attention.allowed),
        "top": [{"index": i, "label": labels[i]} for i, _ in listed],
        "told": words,
    }
    return pack(header, values=attention.values.astype(np.float32))


def runs(marked: np.ndarray) -> list[list[int]]:
    """[first, one past the last] of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return edges.reshape(-1, 2).tolist()


def rest(attention: TokenAttention, most: int = TOP) -> tuple[float, float, int, float]:
    """(Σ of all values, Σ of those that the list leaves out, how many they are, the largest of them); masked ones aside."""
    values = np.where(attention.allowed, attention.values, 0.0)
    listed = [i for i, _ in attention.top(most)]
    left = np.delete(values, listed)
    count = int(attention.allowed.sum()) - len(listed)
    return float(values.sum()), float(left.sum()), count, float(left.max()) if left.size else 0.0


def table(trace: Trace, attention: TokenAttention) -> pd.DataFrame:
    """One row a token of the coloured text: position, token, weight, masked; exact float64 digits.

    trace: as it was recorded; where the picture leaves out more than is masked there, a column `left_out` tells what.
    """
    site = attention.heads[0][0]
    allowed = _allowed(trace, attention.heads, attention.mode, attention.index)
    left = allowed & ~attention.allowed
    side = trace.side(site.key_side if attention.mode == "attends" else site.query_side)
    return pd.DataFrame(
        {
            "position": range(len(side.texts)),
            "token": list(side.texts),
            "weight": attention.values,
            "masked": ~allowed,
            **({"left_out": left} if left.any() else {}),
        }
    )
