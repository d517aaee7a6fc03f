"""How a token is shown, everywhere the same: spaces and line ends visible, special tokens marked, never as markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from model.text.tokenizer import visible
from model.trace.per_trace import PerTrace
from model.trace.site import Site

if TYPE_CHECKING:
    from model.trace.trace import Side, Trace

_MARKS = {" ": "·", "\n": "⏎", "\r": "⏎", "\t": "⇥", "\u00a0": "⍽", "\u3000": "·"}
Label = dict[str, str]
_SEQUENCE = 24  # fewer single letters are an abbreviation, not a sequence


def readable(token: str) -> str:
    """A token with its invisible characters made visible; "" becomes ∅, control characters U+XXXX."""
    return visible("".join(_MARKS.get(c, c) for c in token)) if token else "∅"


def looks_special(token: str) -> bool:
    """Whether a token of the output vocabulary is written like `<zh>` or `</s>`."""
    return token.startswith("<") and token.endswith(">") and len(token) > 2


def label(token: str, special: bool = False) -> Label:
    """What the canvas components take: {"text", "kind"} with kind "word", "special" or "space"."""
    kind = "special" if special else "space" if not token.strip() else "word"
    return {"text": readable(token), "kind": kind}


def numbered(trace: Trace, side: str) -> bool:
    """Whether the positions of a side have no texts of their own, only their numbers."""
    return only_numbers(trace.side(side))


def only_numbers(side: Side) -> bool:
    """Whether what stands for the tokens of a side is 0, 1, 2 …, as of a run that was given none."""
    return list(side.tokens) == [str(i) for i in range(len(side.tokens))]


# A long text's labels take longer to make than a row of its attention. Nobody changes these lists.
_made: PerTrace[list[Label]] = PerTrace()


def labels(trace: Trace, side: str) -> list[Label]:
    """The tokens of one side, in reading order."""
    return _made.get(trace, ("tokens", side), lambda: _labels(trace, side))


def _labels(trace: Trace, side: str) -> list[Label]:
    tokens = trace.side(side)
    found = [label(token, special) for token, special in zip(tokens.texts, tokens.special, strict=True)]
    for item, segment in zip(found, tokens.segments, strict=False):
        if segment:
            item["segment"] = "second"
    return found


def written_labels(trace: Trace) -> list[Label]:
    """The token that each decoder position wrote (or was forced to write)."""
    return [label(token, looks_special(token)) for token in trace.written()]


def query_labels(trace: Trace, site: Site) -> list[Label]:
    """Row labels. A decoder's query has just read one token and is about to write the next, so both are named."""
    return _made.get(trace, ("query", site.query_side), lambda: _query_labels(trace, site))


def query_names(trace: Trace, site: Site) -> list[str]:
    """What a file calls the rows: each token as it is, a decoder's as "read ▸ writes"."""
    read = trace.tokens(site.query_side)
    if site.query_side != "decoder" or not trace.written():
        return list(read)
    return [f"{token} ▸ {after}" for token, after in zip(read, trace.written(), strict=True)]


def places(trace: Trace, side: str) -> list[str]:
    """What lists call the places of a side: "3: cat"; of a decoder that wrote "3: a ▸ donné", as the rows of its matrices."""
    read = [label["text"] for label in labels(trace, side)]
    if side == "decoder" and trace.written():
        after = [label["text"] for label in written_labels(trace)]
        read = [f"{token} ▸ {next_}" for token, next_ in zip(read, after, strict=True)]
    return [f"{i}: {text}" for i, text in enumerate(read)]


def _query_labels(trace: Trace, site: Site) -> list[Label]:
    rows = _numbered(labels(trace, site.query_side))
    if site.query_side != "decoder" or not trace.written():
        return rows
    return [
        row | {"text": f"{row['text']} ▸ {after['text']}"}
        for row, after in zip(rows, written_labels(trace), strict=True)
    ]


def key_labels(trace: Trace, site: Site) -> list[Label]:
    """Column labels."""
    return _made.get(trace, ("key", site.key_side), lambda: _numbered(labels(trace, site.key_side)))


def _numbered(found: list[Label]) -> list[Label]:
    """The labels of a sequence of capital letters (a protein's residues) with their numbers, as such are named: C22."""
    letters = [item for item in found if item["kind"] != "special"]
    one_sequence = len(letters) >= _SEQUENCE and not any("segment" in item for item in found)
    if not one_sequence or not all(re.fullmatch("[A-Z]", item["text"]) for item in letters):
        return found
    first = int(found[0]["kind"] == "special")  # a gap among the letters is one of them, and has its number
    return [
        item if item["kind"] == "special" else item | {"text": f"{item['text']}{i - first + 1}"}
        for i, item in enumerate(found)
    ]
