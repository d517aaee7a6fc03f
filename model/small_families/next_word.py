"""The next word: GPT, GPT-2 and GPT-Neo (Radford et al. 2018, equation 1).

A row is filled with whole texts, an end token behind each, and cut at its length; it begins with a text, as what one types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.small_families import words
from model.small_families.family import HEADS, LENGTH, WIDTH, Collator, SmallFamily
from model.training.language.texts import Text

END = "<|endoftext|>"


class NextWord:
    """Rows of `length` tokens without padding."""

    shifted, reads = True, "rows"

    def __init__(self, length: int = LENGTH):
        self.row_length = length

    def rows(self, tokenizer: Any, found: Sequence[Text]) -> list[Any]:
        rows, row = [], []
        for text in found:
            row += [*tokenizer(text.text)["input_ids"], tokenizer.eos_token_id]
            if len(row) >= self.row_length:
                rows.append(row[: self.row_length])
                row = []
        return rows

    def collator(self, tokenizer: Any, seed: int, ramp: int = 0) -> Collator:
        import torch

        # The library's collator for it leaves out every label that is the padding's id, which is the end token's here.
        return lambda rows: {"input_ids": torch.tensor(list(rows)), "labels": torch.tensor(list(rows))}

    def length(self, row: Any) -> int:
        return len(row)


_GPT = {
    "n_embd": WIDTH, "n_layer": 3, "n_head": HEADS, "n_positions": LENGTH, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
}  # fmt: skip
_NEO = {
    "hidden_size": WIDTH, "num_layers": 4, "num_heads": HEADS, "intermediate_size": 4 * WIDTH, "window_size": 8,
    "attention_types": [[["global", "local"], 2]], "max_position_embeddings": LENGTH, "resid_dropout": 0.0,
    "embed_dropout": 0.0, "attention_dropout": 0.0,
}  # fmt: skip
_ROWS = {"batch": 8, "steps": 3_000}
FAMILIES = (
    SmallFamily(
        "small-gpt", "OpenAIGPTLMHeadModel", "OpenAIGPTConfig", "OpenAIGPTTokenizer", NextWord(), _GPT, words.GPT,
        {"eos_token": END}, **(_ROWS | {"steps": 2_200}),
    ),
    SmallFamily(
        "small-gpt2", "GPT2LMHeadModel", "GPT2Config", "GPT2Tokenizer", NextWord(), _GPT, words.GPT2, vocabulary=1100,
        **_ROWS,
    ),
    SmallFamily(
        "small-gpt-neo", "GPTNeoForCausalLM", "GPTNeoConfig", "GPT2Tokenizer", NextWord(), _NEO, words.GPT_NEO,
        vocabulary=1100, **(_ROWS | {"steps": 1_700}),
    ),
)  # fmt: skip
