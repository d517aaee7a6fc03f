"""A SMILES language model (RXNMapper) -> a folder of the library: its weights as they are, its tokenizer as data.

The original tokenizer is Python code; what it does is split by one regular expression and look each piece up, which the
library's own tokenizer file can say (Schwaller et al. 2019, Molecular Transformer, section 2).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from model.checkpoints.convert.raw_tensors import save, torch_weights
from model.files.regular import text_of
from model.jobs.progress import tick

# Bracket atoms, two-letter elements, atoms, bonds, ring closures.
_SMILES = r"(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|/|:|~|@|\?|>>?|\*|\$|%[0-9]{2}|[0-9])"
_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def write(weights: Path, folder: Path) -> None:
    """Put config.json, model.safetensors and the tokenizer of the model beside `weights` into `folder`."""
    tick("converting", 0.2)
    shutil.copyfile(weights.parent / "config.json", folder / "config.json")
    save(torch_weights(weights), folder)
    tick("converting", 0.7)
    words = text_of(weights.parent / "vocab.txt").split("\n")
    tokenizer(words[:-1] if words[-1] == "" else words).save_pretrained(folder)


def tokenizer(words: list[str]):
    """[CLS] pieces [SEP]; what is no piece of SMILES is one unknown token."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: i for i, word in enumerate(words)}
    core = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(_SMILES), behavior="isolated")
    ends = [(token, numbers[token]) for token in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=512, **_SPECIAL)
