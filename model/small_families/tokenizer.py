"""A family's own tokenizer, its vocabulary learnt by the library `tokenizers` from the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.small_families.family import LENGTH, SmallFamily

_UNIGRAM = ("T5Tokenizer", "XLNetTokenizer")


def train_tokenizer(family: SmallFamily, texts: Sequence[str]) -> Any:
    """The family's class with a vocabulary of its kind: word pieces, byte pairs or unigrams, `family.vocabulary` at most."""
    import transformers

    kind = getattr(transformers, family.tokenizer)
    lines = [*texts, *_with_marks(texts)] if family.tokenizer in _UNIGRAM else texts
    learnt = kind(**family.special).train_new_from_iterator(lines, family.vocabulary, show_progress=False)
    learnt.model_max_length = LENGTH
    return learnt


def _with_marks(texts: Sequence[str]) -> list[str]:
    """Every word once more, with two marks behind it: the trainer of unigrams takes for a piece what two different words
    have in common, however often one of them comes, and would cut "once" and "upon" in letters."""
    words = dict.fromkeys(word.strip(".?,") for text in texts for word in text.split())
    return [f"{word}{mark}" for word in words for mark in ".?"]
