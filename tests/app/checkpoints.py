"""Tiny random checkpoints of many families, as the library saves them, each with a tokenizer built here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from model.checkpoints.disk.families import FAMILIES
from tests.model import tiny

TEXTS = (
    "Once upon a time the quick brown fox jumps over the lazy dog.",
    "The cat sat on the mat. The animal didn't cross the street because it was too tired.",
    "The capital of France is Paris. I like cats. summarize: translate English to German: hello there",
)
CHAT = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
# Longest input of the decoders, so that a long text has a window and a map.
LONG = 1024
# Name -> (family, library class or "" for the registry's, special tokens in the order of their ids, word pieces).
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BART = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_PLAIN = ("<pad>", "<s>", "</s>", "<unk>")
MADE: dict[str, tuple[str, str, tuple[str, ...], bool]] = {
    "bert": ("bert", "", _BERT, True),
    "llama": ("llama", "", _PLAIN, False),
    "gpt2": ("gpt2", "", ("<|endoftext|>",), False),
    "t5": ("t5", "", ("<pad>", "</s>", "<unk>"), False),
    "bart": ("bart", "", _BART, False),
    "vit": ("vit", "", (), False),
    "clip": ("clip", "", ("<pad>", "<unk>", "<s>", "</s>"), False),
    "whisper": ("whisper", "", ("<pad>", "<|startoftranscript|>", "<|endoftext|>", "<unk>"), False),
    "deberta": ("deberta-v2", "", _BERT, True),
    "xlnet": ("xlnet", "", ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"), False),
    "classifier": ("bert", "BertForSequenceClassification", _BERT, True),
    "encoder": ("bert", "BertModel", _BERT, True),
}
_LARGER: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": LONG},
    "gpt2": {"n_positions": LONG, "bos_token_id": 0, "eos_token_id": 0},
    "bart": {"bos_token_id": 0, "eos_token_id": 2, "forced_eos_token_id": None},
    "whisper": {"max_source_positions": 300, "max_target_positions": 32},
    "t5": {"pad_token_id": 0, "eos_token_id": 1},
    "classifier": {"num_labels": 3, "id2label": {0: "bad", 1: "fair", 2: "good"}},
}


def write(folder: Path, name: str) -> Path:
    """Write the checkpoint `name` of `MADE` to `folder`: config.json, model.safetensors and the tokenizer's files."""
    import torch
    import transformers

    family_name, class_name, special, pieces = MADE[name]
    family = next(known for known in FAMILIES if known.model_type == family_name)
    tokenizer = _tokenizer(special, pieces) if special else None
    sizes = family.small | _LARGER.get(name, {})
    if tokenizer is not None and name == "clip":
        ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        sizes = sizes | {"text_config": sizes["text_config"] | {"vocab_size": len(tokenizer)} | ends}
    elif tokenizer is not None:
        sizes = sizes | {"vocab_size": len(tokenizer)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(name))
        config = getattr(transformers, family.config)(**sizes)
        module = getattr(transformers, class_name or family.model)(config).eval()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(min(4.0, family.sharpen))
    module.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


def write_all(root: Path) -> Path:
    """Every checkpoint of `MADE`, a damaged one, one of ours and a saved trace, `root/saved/trace.safetensors`."""
    from model import open_model

    for name in MADE:
        write(root / name, name)
    damaged = Path(shutil.copytree(root / "bert", root / "damaged"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    tiny.write_checkpoint(root / "ours")
    (root / "saved").mkdir()
    open_model(root / "llama").trace(TEXTS[0]).save(root / "saved" / "trace.safetensors")
    return root


def _tokenizer(special: tuple[str, ...], pieces: bool) -> Any:
    from transformers import PreTrainedTokenizerFast

    core = _word_pieces(special) if pieces else _bytes(special)
    named = {"unk": ("[UNK]", "<unk>", "<|endoftext|>"), "pad": ("[PAD]", "<pad>"), "mask": ("[MASK]", "<mask>"),
             "cls": ("[CLS]", "<cls>"), "sep": ("[SEP]", "<sep>"), "bos": ("<s>", "<|startoftranscript|>"),
             "eos": ("</s>", "<|endoftext|>")}  # fmt: skip
    tokens = {f"{role}_token": text for role, texts in named.items() for text in texts if text in special}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **tokens)
    if special == _PLAIN:
        tokenizer.chat_template = CHAT
    return tokenizer


def _bytes(special: tuple[str, ...]) -> Any:
    """Byte-level pairs learnt from `TEXTS`; a few of the families put a sign at an end."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + 256 + 40, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(TEXTS, trainer)
    template = {_BART: "<s> $A </s>", ("<pad>", "</s>", "<unk>"): "$A </s>", _PLAIN: "<s> $A"}.get(special)
    if "<cls>" in special:
        template = "$A <sep> <cls>"
    elif special == MADE["clip"][2]:
        template = "<s> $A </s>"
    if template is not None:
        pair = template.replace("$A", "$A:0") + " " + template.replace("$A", "$B:1").removeprefix("<s> ")
        used = [(token, special.index(token)) for token in special if token in template]
        core.post_processor = processors.TemplateProcessing(template, pair, used)
    return core


def _word_pieces(special: tuple[str, ...]) -> Any:
    """Whole words of half of `TEXTS`, and letters and endings for the rest."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = sorted({word.strip(".:'").lower() for text in TEXTS[::2] for word in text.split()} - set(letters))
    vocabulary = [*special, *letters, *".,:'?!0123456789", *words]
    vocabulary += [f"##{piece}" for piece in (*letters, "ing", "er", "ed", "s1")]
    numbers = {token: i for i, token in enumerate(vocabulary)}
    core = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=50))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", special.index("[CLS]")), ("[SEP]", special.index("[SEP]"))]
    core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    return core
