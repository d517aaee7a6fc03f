"""Readable texts of tokens, and the word that each belongs to, for every kind of tokenizer.

Byte-level vocabularies write each byte as one printable character (Radford et al. 2019, GPT-2); a token there may hold
a part of a character, and such bytes are shown as what they are, ⟨E4 BD⟩, because no letter is truer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# These write one byte as the character of that number, without an alphabet of their own.
_RAW_BYTES = ("ByT5Tokenizer", "PerceiverTokenizer")


@cache
def byte_alphabet() -> dict[str, int]:
    """Character -> byte of byte-level vocabularies: printable Latin-1 stands for itself, the rest from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(rest)}


def from_bytes(data: bytes) -> str:
    """UTF-8 -> text, where bytes that are no whole character stand as their numbers: b"a\\xe4\\xbd" -> "a⟨E4 BD⟩"."""
    text, torn = "", b""
    while data:
        try:
            whole, broken, data = data.decode("utf-8"), b"", b""
        except UnicodeDecodeError as error:
            whole = data[: error.start].decode("utf-8")
            broken, data = data[error.start : error.end], data[error.end :]
        if whole:
            text, torn = text + _numbers(torn) + whole, b""
        torn += broken
    # The sign for "no character" is in some vocabularies; shown as itself it would pass for a failure of ours.
    return (text + _numbers(torn)).replace("\ufffd", _numbers(b"\xef\xbf\xbd"))


def _numbers(data: bytes) -> str:
    return f"⟨{data.hex(' ').upper()}⟩" if data else ""


def kind(tokenizer: Any) -> str:
    """ "bytes" (byte-level BPE), "raw bytes", "wordpiece" or "pieces" (SentencePiece, whole words, everything else)."""
    if type(tokenizer).__name__ in _RAW_BYTES:
        return "raw bytes"
    backend = getattr(tokenizer, "backend_tokenizer", None)
    parts = repr(getattr(backend, "decoder", None)) + repr(getattr(backend, "pre_tokenizer", None))
    if "ByteLevel" in parts or hasattr(tokenizer, "byte_decoder"):
        return "bytes"
    named = "WordPiece" in parts or type(getattr(backend, "model", None)).__name__ == "WordPiece"
    return "wordpiece" if named or hasattr(tokenizer, "wordpiece_tokenizer") else "pieces"


def _byte_level(token: str) -> str:
    token, end = (token[:-4], " ") if token.endswith("</w>") else (token, "")  # CLIP ends its words, not begins them
    alphabet = byte_alphabet()
    if not all(character in alphabet for character in token):
        return token + end
    return from_bytes(bytes(alphabet[character] for character in token)) + end


def _raw_byte(token: str) -> str:
    return from_bytes(bytes([ord(token)])) if len(token) == 1 and ord(token) < 256 else token


def _piece(token: str) -> str:
    byte = _BYTE.fullmatch(token)
    if byte:
        return from_bytes(bytes.fromhex(byte[1]))
    return token.replace("▁", " ").removesuffix("</w>") + (" " if token.endswith("</w>") else "")


_READ: dict[str, Callable[[str], str]] = {
    "bytes": _byte_level, "raw bytes": _raw_byte, "pieces": _piece, "wordpiece": str,
}  # fmt: skip


def reader(backend: Any) -> Callable[[str], str]:
    """How a token of a `tokenizers.Tokenizer` reads to a person, special ones aside."""
    return _READ[kind(SimpleNamespace(backend_tokenizer=backend))]


def readable(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """How each token reads to a person, one text an id.

    A leading space is kept as " ", WordPiece's "##" stays, special and added tokens stand as they are; an id that the
    tokenizer does not know is "#id".
    """
    ids = list(ids)
    read = _READ[kind(tokenizer)]
    as_they_are = {*tokenizer.all_special_ids, *getattr(tokenizer, "added_tokens_decoder", ())}
    return [
        f"#{i}" if token is None else str(token) if i in as_they_are else read(token)
        for i, token in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)
    ]


def special_ids(tokenizer: Any) -> set[int]:
    """Ids that stand for no text: those the tokenizer names, and those that its own table of added tokens marks so.

    Whisper's <|startoftranscript|> is only in that table where a folder has no list of further special tokens.
    """
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return {*tokenizer.all_special_ids, *(i for i, token in added.items() if token.special)}


def outside_the_text(tokenizer: Any) -> set[int]:
    """Special tokens but the unknown word and the gap, which stand in the text where a word stands."""
    names = ("bos", "eos", "pad", "cls", "sep")
    ends = {getattr(tokenizer, f"{name}_token_id", None) for name in names}
    inside = {getattr(tokenizer, f"{name}_token_id", None) for name in ("unk", "mask")}
    return special_ids(tokenizer) - (inside - ends)


def unknown(tokenizer: Any, ids: Sequence[int]) -> int:
    """How many tokens are the one that stands for what the vocabulary lacks; 0 where that one also ends or fills a text."""
    number = getattr(tokenizer, "unk_token_id", None)
    named = ("bos", "eos", "pad", "cls", "sep", "mask")
    if number is None or number in {getattr(tokenizer, f"{name}_token_id", None) for name in named}:
        return 0
    return list(ids).count(number)


def words(tokenizer: Any, ids: Sequence[int], text: str = "") -> list[int | None]:
    """The word that each token belongs to, counted from 0; None for special tokens (an unknown word and a gap are words).

    The words are those of the tokenizer's own pre-tokenizer where it has one and `ids` are `text` as it reads it, up to
    special tokens; otherwise a word begins at a space.
    """
    ids = list(ids)
    special = outside_the_text(tokenizer)
    plain = [position for position, i in enumerate(ids) if i not in special]
    found = _of_the_tokenizer(tokenizer, [ids[position] for position in plain], text, special)
    if found is None:
        found = _by_spaces(tokenizer, ids, plain)
    numbers: dict[object, int] = {}
    answer: list[int | None] = [None] * len(ids)
    for position, word in zip(plain, found, strict=True):
        answer[position] = None if word is None else numbers.setdefault(word, len(numbers))
    return answer


def _of_the_tokenizer(tokenizer: Any, plain: list[int], text: str, special: set[int]) -> list[int | None] | None:
    """The pre-tokenizer's words of `plain`, or None where it has none or reads `text` otherwise."""
    if not text or not getattr(tokenizer, "is_fast", False):
        return None
    encoding = tokenizer(text, add_special_tokens=False)
    pairs = [pair for pair in zip(encoding["input_ids"], encoding.word_ids(), strict=True) if pair[0] not in special]
    if [i for i, _ in pairs] != plain:
        return None
    found = [word for _, word in pairs]
    # SentencePiece without a pre-tokenizer calls the whole text one word.
    return None if len(set(found)) <= 1 and len(text.split()) > 1 else found


def _by_spaces(tokenizer: Any, ids: list[int], plain: list[int]) -> list[int]:
    """A word begins at a leading space, after a special token, after a word's end, and at a WordPiece without ##."""
    shown, whole = readable(tokenizer, ids), kind(tokenizer) == "wordpiece"
    found: list[int] = []
    last = -2
    for position in plain:
        text, before = shown[position], shown[position - 1] if last == position - 1 else None
        spaced = before is None or (text[:1].isspace() != before[-1:].isspace() and not before.isspace())
        begins = spaced or (whole and not text.startswith("##"))
        found.append((found[-1] if found else -1) + begins)
        last = position
    return found
