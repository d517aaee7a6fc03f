"""Truncation: the longest start of a text that an opened model still reads."""

from __future__ import annotations

import re
from typing import Any

from model.checkpoints.annalog import Annalog
from model.checkpoints.library.library_model import HuggingFaceModel
from model.checkpoints.own import OwnModel
from model.checkpoints.tokens.encode import tokenized
from model.errors import HeadlightError
from model.text.tokenizer import GAPS
from model.text.truncation import Start, longest_start

_WORD = re.compile(r"\S+")
_GAPS_AT = re.compile("|".join(map(re.escape, GAPS)))


def shortened(model: Any, text: str, pair: str | None = None, chat: bool = False, new_tokens: int = 0) -> Start | None:
    """The longest start of `text` that `model` reads beside `pair` and what it is to write; None where there is none.

    It ends where a token of the whole text ends, by the tokenizer's own offsets.
    """
    if isinstance(model, OwnModel):
        return model.start(text, new_tokens)
    if isinstance(model, Annalog):
        return model.tokenizer.start(text, model.max_length)
    if not isinstance(model, HuggingFaceModel) or model.reads != "text":
        return None
    room = model.max_length - (new_tokens if model.task == "causal" else 0)
    try:
        ends, whole = _tokens(model.tokenizer, text)

        def count(part: str) -> int:
            return max(reading.length for reading in model.readings(part, pair, chat))

        def same(part: str) -> bool:
            ids = _tokens(model.tokenizer, part)[1]
            return ids == whole[: len(ids)]

        return longest_start(text, ends, count, room, same)
    except HeadlightError:  # of a text that is refused for something else too; running it says so
        return None


def _tokens(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """(places where tokens end, rising; ids) of a text alone, without special tokens.

    A tokenizer that does not tell its offsets cuts at words.
    """
    fast = bool(getattr(tokenizer, "is_fast", False))
    found = tokenized(tokenizer, text, add_special_tokens=False, **({"return_offsets_mapping": True} if fast else {}))
    ends = found["offset_mapping"][0, :, 1].tolist() if fast else [word.end() for word in _WORD.finditer(text)]
    gaps = [place for gap in _GAPS_AT.finditer(text) for place in range(gap.start() + 1, gap.end())]
    return sorted(set(ends) - set(gaps) - {0}), found["input_ids"][0].tolist()
