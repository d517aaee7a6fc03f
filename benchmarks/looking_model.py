"""What benchmarks.looking looks at: an untrained BERT of 12 layers of 12 heads, and texts of exactly so many tokens."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from random import Random
from typing import Any

LAYERS, HEADS, WIDTH = 12, 12, 768
LONGEST = 4096
SHARPEN = 3.0  # queries and keys are larger by this, so that attention is not flat
WORDS = tuple(a + b for a, b in product("bdfgklmnprstvz", "aeiou"))  # a word is a token


def make(folder: Path, layers: int = LAYERS) -> Path:
    """A checkpoint in `folder`, as the library saves it."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    vocabulary = {word: i for i, word in enumerate((*special.values(), *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = BertForMaskedLM(BertConfig(
        vocab_size=len(vocabulary), num_hidden_layers=layers, num_attention_heads=HEADS, hidden_size=WIDTH,
        max_position_embeddings=LONGEST, pad_token_id=0,
    ))  # fmt: skip
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            layer.attention.self.query.weight.mul_(SHARPEN)
            layer.attention.self.key.weight.mul_(SHARPEN)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=LONGEST, **special).save_pretrained(folder)
    return folder


def text(n: int, seed: int) -> str:
    """n tokens; another seed is another run."""
    return " ".join(Random(seed).choices(WORDS, k=n))


def attention(folder: Path, words: str) -> Any:
    """What other tools are given: a tensor [1, heads, n, n] a layer, by the library itself."""
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(
            **AutoTokenizer.from_pretrained(folder)(words, return_tensors="pt"), output_attentions=True
        ).attentions
