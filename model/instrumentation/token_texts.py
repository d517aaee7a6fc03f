"""Texts of a foreign model's token ids, from whatever object its author calls a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from model.errors import HeadlightError

_MARKS = (("<", ">"), ("[", "]"))


class TokenTexts:
    """The texts of token ids, and the ids of texts.

    tokenizer: an object with `convert_ids_to_tokens`, `id_to_token` or `decode`, a list of the vocabulary (or a
    table id -> token), a function of a list of ids, or None."""

    def __init__(self, tokenizer: Any = None):
        self._tokenizer = tokenizer

    @property
    def reads(self) -> bool:
        """Whether ids have texts at all."""
        return self._tokenizer is not None

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """One text an id; numbers from 0 without a tokenizer."""
        tokenizer, ids = self._tokenizer, [int(i) for i in ids]
        if tokenizer is None:
            return [str(i) for i in range(len(ids))]
        if isinstance(tokenizer, Mapping):
            return [str(tokenizer.get(i, f"#{i}")) for i in ids]
        if isinstance(tokenizer, Sequence):
            return [str(tokenizer[i]) if 0 <= i < len(tokenizer) else f"#{i}" for i in ids]
        if hasattr(tokenizer, "convert_ids_to_tokens"):
            return [
                f"#{i}" if t is None else str(t) for i, t in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)
            ]
        if hasattr(tokenizer, "id_to_token"):
            return [str(tokenizer.id_to_token(i)) for i in ids]
        if hasattr(tokenizer, "decode"):
            return [str(tokenizer.decode([i])) for i in ids]
        return [str(token) for token in tokenizer(ids)]

    def ids(self, text: str) -> Tensor:
        """The ids of a text: [1, n]. Raises HeadlightError where the tokenizer has no `encode`."""
        if not hasattr(self._tokenizer, "encode"):
            raise HeadlightError(reason="A text was given without a tokenizer that has encode(): give tensors.")
        ids = self._tokenizer.encode(text)
        ids = getattr(ids, "ids", ids)
        return torch.as_tensor(ids).reshape(1, -1)

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """What each id reads as; () where the size is not known."""
        size = None
        for count in (lambda: len(self._tokenizer), lambda: self._tokenizer.get_vocab_size(),
                      lambda: self._tokenizer.vocab_size):  # fmt: skip
            try:
                size = int(count())
                break
            except (TypeError, AttributeError):
                continue
        return () if size is None else tuple(self.tokens(range(size)))

    def is_special(self, token: str) -> bool:
        """Whether a token stands for no text: the tokenizer's own list, else by its brackets."""
        named = getattr(self._tokenizer, "all_special_tokens", None)
        if named is not None:
            return token in named
        return self._tokenizer is not None and len(token) > 3 and (token[0], token[-1]) in _MARKS
