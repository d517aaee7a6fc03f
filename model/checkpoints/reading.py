"""What a library tokenizer makes of a person's input: one text, a pair of texts or the turns of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model.checkpoints.readable import readable, special_ids, words
from model.errors import EmptyText, NoChatTemplate
from model.trace import Side

# People write the gap in the way they know; the tokenizer's own sign is put in its place.
_GAPS = ("[MASK]", "<mask>", "[mask]")


@dataclass(frozen=True, eq=False)
class Encoded:
    """`inputs` as the model takes them, batch of 1; `segments` 0 or 1 a token where there are two texts, else ()."""

    inputs: Mapping[str, Tensor]
    text: str
    segments: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        return self.inputs["input_ids"].shape[1]


def encode(tokenizer: Any, text: str, pair: str | None = None, chat: bool = False) -> Encoded:
    """Raises EmptyText, or NoChatTemplate where there is none for a chat."""
    if not text.strip():
        raise EmptyText()
    if chat:
        return _chat(tokenizer, text)
    text = _with_gap(tokenizer, text)
    if not (pair or "").strip():
        # Token types are all 0 for one text, which is what every model assumes without them.
        return Encoded({"input_ids": tokenizer(text, return_tensors="pt").input_ids}, text)
    pair = _with_gap(tokenizer, pair)
    found = tokenizer(text, pair, return_tensors="pt")
    names = {"input_ids", "token_type_ids"} & set(tokenizer.model_input_names) & set(found.keys())
    return Encoded({name: found[name] for name in sorted(names)}, text, _segments(found))


def _with_gap(tokenizer: Any, text: str) -> str:
    if tokenizer.mask_token is None:
        return text
    for gap in _GAPS:
        text = text.replace(gap, tokenizer.mask_token)
    return text


def _segments(found: Any) -> tuple[int, ...]:
    """Which of the two texts each token is of; a special token counts to the text before it, the first to text 0."""
    if not getattr(found, "is_fast", False):
        return tuple(found["token_type_ids"][0].tolist()) if "token_type_ids" in found else ()
    segments, now = [], 0
    for which in found.sequence_ids(0):
        now = now if which is None else which
        segments.append(now)
    return tuple(segments)


def _chat(tokenizer: Any, text: str) -> Encoded:
    if not getattr(tokenizer, "chat_template", None):
        raise NoChatTemplate()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    turns = [{"role": ("user", "assistant")[i % 2], "content": line} for i, line in enumerate(lines)]
    whole = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=len(turns) % 2 == 1)
    # The template has written its own start token; a second one would be another text.
    return Encoded({"input_ids": tokenizer(whole, add_special_tokens=False, return_tensors="pt").input_ids}, whole)


def side(tokenizer: Any, ids: list[int], text: str = "", segments: tuple[int, ...] = ()) -> Side:
    """The tokens of one stack with what a person reads and which word each belongs to."""
    special = special_ids(tokenizer)
    return Side(
        tokens=tuple(tokenizer.convert_ids_to_tokens(ids)),
        ids=tuple(ids),
        special=tuple(i in special for i in ids),
        shown=tuple(readable(tokenizer, ids)),
        words=tuple(-1 if word is None else word for word in words(tokenizer, ids, text)),
        segments=segments if len(segments) == len(ids) else (),
    )


def vocabulary(tokenizer: Any) -> tuple[str, ...]:
    """What each id reads as."""
    return tuple(readable(tokenizer, list(range(len(tokenizer)))))


def ids_of(inputs: Mapping[str, Tensor], name: str) -> list[int]:
    """The token ids under `name`, without the batch axis."""
    return torch.as_tensor(inputs[name])[0].tolist()
