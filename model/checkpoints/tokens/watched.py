"""Tokenizers whose expressions may take for ever, and normalisers that make a text a thousand times as long.

Of the usual forms an expression's work is told by its syntax, and nothing is done about it. Any other is tried on each text in
a process that can be ended, before it is run here; what makes texts longer without bound is refused when it is opened.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from model.errors import TokenizerNotRun
from model.files.regular import NotRegular, bytes_of
from model.jobs import child

_LONGER = 64  # times that a normaliser may make a text longer: U+FDFA has 18 characters in NFKC
_MOST_UNBOUNDED = 2  # quantifiers without an end in one alternative: their number is the power that the work grows with
# Whose texts are those of tokens, expressions and templates: the largest known, SentencePiece's tables, have half a megabyte.
_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_LONGEST = 2**22
_QUOTE = re.compile(rb'(?<!\\)"')
_TRY = """
from tokenizers import Tokenizer

def make(given):
    tokenizer = Tokenizer.from_str(given["tokenizer"])
    for text in given["texts"]:
        if tokenizer.normalizer is not None:
            text = tokenizer.normalizer.normalize_str(text)
        if tokenizer.pre_tokenizer is not None:
            tokenizer.pre_tokenizer.pre_tokenize_str(text)
    return True
"""
_found: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def check_files(folder: Path) -> None:
    """Look at the sizes in a tokenizer's files before the library reads them, which takes the process down where a text in
    them is as large as its memory. Raises TokenizerNotRun."""
    for name in _FILES:
        try:
            data = bytes_of(folder / name)
        except NotRegular as error:
            raise TokenizerNotRun(path=folder, reason=str(error)) from error
        except OSError:  # not there
            continue
        # A text of `_LONGEST` holds one of these blocks whole, and in it no quotation mark but those behind a backslash.
        block = _LONGEST // 2
        if any(_QUOTE.search(data, at, at + block) is None for at in range(0, len(data) - block + 1, block)):
            raise TokenizerNotRun(path=folder, reason=f"{name} holds a text of more than {block:,} characters")


def check(tokenizer: Any, path: object) -> None:
    """Look a tokenizer over when it is opened. Raises TokenizerNotRun for one that makes texts longer without bound."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    parts = {name: _told(getattr(backend, name)) for name in ("normalizer", "pre_tokenizer", "decoder")}
    for name, told in parts.items():
        if (times := _times(told)) > _LONGER:
            raise TokenizerNotRun(path=path, reason=f"its {name} makes a text up to {times:,} times as long")
    if any(map(risky, _expressions(parts["decoder"]))):
        raise TokenizerNotRun(path=path, reason="its decoder looks for an expression that may take for ever")
    if any(risky(pattern) for name in ("normalizer", "pre_tokenizer") for pattern in _expressions(parts[name])):
        empty = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                 "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": {}, "merges": []}  # fmt: skip
        whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "post_processor": None}
        whole |= {"decoder": None, "model": empty, **{name: parts[name] for name in ("normalizer", "pre_tokenizer")}}
        _found[tokenizer] = json.dumps(whole)


def before(tokenizer: Any, texts: tuple[str, ...]) -> None:
    """Try these texts elsewhere where the tokenizer's expressions are none of the usual. Raises TokenizerNotRun, Stopped."""
    if (watched := _found.get(tokenizer)) is None:
        return
    try:
        _tried(watched, texts)
    except child.Gave as error:
        reason = str(error) or "on this text its expressions take more than 3 seconds or 1 GB"
        raise TokenizerNotRun(path=getattr(tokenizer, "name_or_path", ""), reason=reason) from error


@lru_cache(maxsize=64)
def _tried(watched: str, texts: tuple[str, ...]) -> None:
    child.run(_TRY, {"tokenizer": watched, "texts": list(texts)})


def _told(part: Any) -> Any:
    """What a part of a tokenizer says of itself, None where there is none."""
    try:
        return None if part is None else json.loads(part.__getstate__())
    except (TypeError, ValueError, AttributeError):
        return None


def _parts(told: Any) -> Iterator[dict[str, Any]]:
    """Each step of a part, those of sequences one by one."""
    if isinstance(told, dict):
        yield told
        for name in ("normalizers", "pretokenizers", "decoders"):
            for each in told.get(name) or ():
                yield from _parts(each)


def _expressions(told: Any) -> list[str]:
    patterns = (part.get("pattern") for part in _parts(told))
    return [pattern["Regex"] for pattern in patterns if isinstance(pattern, dict) and "Regex" in pattern]


def _times(told: Any) -> int:
    """How many times as long a text may become: the product of what each step puts in place of one character."""
    times = 1
    for part in _parts(told):
        texts = [part.get(name) for name in ("prepend", "content", "replacement", "prefix", "suffix")]
        times *= max([1, *(len(text) for text in texts if isinstance(text, str))])
        if isinstance(packed := part.get("precompiled_charsmap"), str):
            times *= _longest_of(packed)
    return times


def _longest_of(packed: str) -> int:
    """The longest text of SentencePiece's table: u32 length of its trie, the trie, then the texts, each ended by a zero."""
    data = base64.b64decode(packed + "=" * (-len(packed) % 4))
    start = 4 + int.from_bytes(data[:4], "little")
    return max(1, *(len(text) for text in data[start:].split(b"\0")))


def risky(pattern: str) -> bool:
    """Whether an expression may take longer than the square of a text's length, as far as its syntax tells."""
    if re.search(r"\\[1-9gk]|\(\?[R0-9&(P]|\(\?<[A-Za-z]", pattern):  # what was found, looked for again
        return True
    # (an end is not told in this group, unbounded quantifiers in this alternative) of each open group
    stack: list[list[int]] = [[0, 0]]
    at, closed = 0, 0
    while at < len(pattern):
        here, closed_before, closed = pattern[at], closed, 0
        if here == "\\":
            at += len(re.match(r"\\(?:[pPx]\{[^}]*\}|.)", pattern[at:], re.DOTALL)[0]) if at + 1 < len(pattern) else 1
            continue
        if here == "[":
            at = _after_class(pattern, at)
            continue
        if here == "(":
            stack.append([0, 0])
            at += len(re.match(r"\((?:\?(?:<?[=!]|[a-zA-Z-]*[:>)]))?", pattern[at:])[0])
            if pattern[at - 1] == ")":  # flags alone
                stack.pop()
            continue
        if here == ")" and len(stack) > 1:
            inside, most = stack.pop()
            closed = 1 + (inside or most)
            stack[-1][1] += most
        elif here == "|":
            stack[-1] = [1, 0]
        elif found := re.match(r"\*|\+|\{\d*,(\d*)\}|\{\d+\}", pattern[at:]):
            unbounded = found[0] in "*+" or (found[1] is not None and (not found[1] or int(found[1]) > 16))
            unbounded = unbounded or (found[0][:1] == "{" and "," not in found[0] and int(found[0][1:-1]) > 1000)
            if unbounded and closed_before > 1:
                return True
            stack[-1][1] += unbounded
            at += len(found[0]) - 1
        if stack[-1][1] > _MOST_UNBOUNDED:
            return True
        at += 1
    return False


def _after_class(pattern: str, at: int) -> int:
    """Where a class of characters ends; classes may stand in it."""
    depth = 0
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] == "[":
            depth += 1
        elif pattern[at] == "]" and (depth := depth - 1) == 0:
            return at + 1
        at += 1
    return at
