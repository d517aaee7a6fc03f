"""How what is typed to follow a text is joined to it: with the space that a word has before it."""

from __future__ import annotations

import unicodedata
from typing import Any

from model.checkpoints.tokens.encode import tokenized
from model.checkpoints.tokens.token_texts import readable

_OPENING = ("Ps", "Pi")  # brackets and quotation marks that open: no space follows them
# Scripts that write no space between words, by how the names of their characters begin.
_WITHOUT_SPACES = (
    "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "FULLWIDTH",
)  # fmt: skip


def joined(tokenizer: Any, text: str, more: str) -> str:
    """`more` as it follows `text`: with a space before it where neither has one and the tokenizer marks words by it.

    Nothing is put before a mark (", and"), after an open bracket, nor next to a script without spaces.
    """
    if not text or not more or text[-1].isspace() or not more[0].isalnum():
        return more
    if unicodedata.category(text[-1]) in _OPENING or any(map(_no_spaces, (text[-1], more[0]))):
        return more
    return f" {more}" if not _marked(tokenizer, more) and _marked(tokenizer, f" {more}") else more


def _no_spaces(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_WITHOUT_SPACES)


def _marked(tokenizer: Any, text: str) -> bool:
    """Whether the first token of a text reads with a space before it."""
    first = tokenized(tokenizer, text, add_special_tokens=False).input_ids[0, :1].tolist()
    return readable(tokenizer, first)[0][:1].isspace()
