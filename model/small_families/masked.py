"""Masked words: BERT, RoBERTa and mBERT (Devlin et al. 2019, section 3.1; Liu et al. 2019, section 4.1).

30 in 100 tokens are to be said, twice as many as in the papers, because training is short (Wettig et al. 2023, Should You Mask
15% in Masked Language Modeling?); of these 80 in 100 are masked, 10 replaced and 10 left, by the library's own collator, anew
each time that a text is read (RoBERTa's way; BERT's ten masks of each text would do nearly the same at four readings). The
next sentence is not predicted, which BERT was trained to do and RoBERTa not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from model.small_families import words
from model.small_families.family import HEADS, LENGTH, WIDTH, Collator, SmallFamily
from model.training.language.texts import Text, texts

SHARE = 0.3  # of the tokens


class MaskedWords:
    """A text as the family's tokenizer frames it."""

    shifted, reads = False, "texts"

    def rows(self, tokenizer: Any, found: Sequence[Text]) -> list[Any]:
        return [dict(tokenizer(text.text, return_special_tokens_mask=True)) for text in found]

    def collator(self, tokenizer: Any, seed: int, ramp: int = 0) -> Collator:
        from transformers import DataCollatorForLanguageModeling

        collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=SHARE, seed=seed)
        return lambda rows: dict(collate(list(rows)))

    def length(self, row: Any) -> int:
        return len(row["input_ids"])


def three_languages(seed: int, split: str) -> Iterator[Text]:
    """English, Chinese and French in turn; what stands beside each other are no translations."""
    streams = (texts(seed + number, split, language) for number, language in enumerate(("en", "zh", "fr")))
    for group in zip(*streams, strict=True):
        yield from group


_SIZES = {
    "hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": 2, "intermediate_size": 4 * WIDTH,
    "max_position_embeddings": LENGTH, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
FAMILIES = (
    SmallFamily(
        "small-bert", "BertForMaskedLM", "BertConfig", "BertTokenizer", MaskedWords(), _SIZES, words.BERT,
        steps=2_500, score="gap",
    ),
    SmallFamily(
        "small-roberta", "RobertaForMaskedLM", "RobertaConfig", "RobertaTokenizer", MaskedWords(),
        _SIZES | {"max_position_embeddings": LENGTH + 1, "type_vocab_size": 1}, words.ROBERTA, vocabulary=1100,
        steps=2_500, score="gap",
    ),
    SmallFamily(
        "small-mbert", "BertForMaskedLM", "BertConfig", "BertTokenizer", MaskedWords(), _SIZES, words.MBERT,
        {"do_lower_case": False, "strip_accents": False}, vocabulary=1900, corpus=three_languages,
        steps=2_600, texts=60_000, score="gap",
    ),
)  # fmt: skip
