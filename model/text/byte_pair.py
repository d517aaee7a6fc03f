"""Byte-pair encoding (Sennrich et al. 2016) over bytes, trained by the library `tokenizers`: any text is spelled by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BytePair:
    """A trained byte-pair encoding. vocabulary: its subwords, id by id, without special tokens."""

    told: dict[str, Any]
    tokenizer: Any

    @staticmethod
    def trained(texts: Sequence[str], size: int) -> BytePair:
        """Merges learnt from `texts` until there are `size` subwords; the 256 bytes are among them."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=sorted(alphabet), show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        return BytePair(json.loads(tokenizer.to_str()), tokenizer)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        ids = self.told["model"]["vocab"]
        return tuple(sorted(ids, key=ids.get))

    def tokens(self, text: str) -> list[str]:
        return self.tokenizer.encode(text, add_special_tokens=False).tokens

    def json(self, first: Sequence[str]) -> str:
        """tokenizer.json with the special tokens `first` before the subwords: ids as in the lists of vocabulary.json."""
        told = json.loads(json.dumps(self.told))
        told["model"]["vocab"] = {token: i for i, token in enumerate((*first, *self.vocabulary))}
        told["added_tokens"] = [
            {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
            for i, token in enumerate(first)
        ]  # fmt: skip
        return json.dumps(told, ensure_ascii=False)


def text(tokens: Sequence[str]) -> str:
    """The text that subwords of bytes spell; special tokens in it stay as they are, half a character is U+FFFD."""
    from tokenizers import decoders

    return decoders.ByteLevel().decode(list(tokens))
