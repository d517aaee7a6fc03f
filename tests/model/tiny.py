"""A small untrained checkpoint, so that the tests depend on no trained weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.transformer.config import TransformerConfig
from model.transformer.encoder_decoder import Transformer

SOURCE = ("<pad>", "the", "cat", "sat", "on", "mat", "I", "like", "cats", "dogs", "see", "black", "a", ".", "?")
TARGET = ("<pad>", "<zh>", "<fr>", "</s>", "我", "喜欢", "猫", "狗", "j'", "aime", "les", "chats", "le", "chat", "。")
TEXT, WRITTEN = "the cat sat on the mat", "我 喜欢 猫 。"
GAP = "the cat <mask> on the mat"
# By size alone: an encoder–decoder, a decoder alone, an encoder alone.
SHAPES: dict[str, dict[str, int]] = {"both": {}, "decoder": {"encoder_layers": 0}, "encoder": {"decoder_layers": 0}}
SIZES = {
    "source_vocabulary": len(SOURCE), "target_vocabulary": len(TARGET), "d_model": 16, "heads": 4, "encoder_layers": 2,
    "decoder_layers": 2, "d_ff": 24, "dropout": 0.1, "max_length": 70, "relative_distance": 3,
}  # fmt: skip


def config(**changes: object) -> TransformerConfig:
    return TransformerConfig(**(SIZES | changes))


def shaken(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every parameter moved at random: zero biases and unit gammas would hide a forgotten one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return module


@cache
def byte_pairs() -> tuple[tuple[str, ...], list[list[str]]]:
    """(subwords, merges): the 256 bytes and twenty more that are learnt from a few sentences, by the library `tokenizers`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=276, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator([TEXT, WRITTEN, "the black cats like the mat"], trainer)
    told = json.loads(core.to_str())["model"]
    return tuple(sorted(told["vocab"], key=told["vocab"].get)), told["merges"]


def tokenizer_of(tokens: Sequence[str], special: Sequence[str]) -> str:
    """tokenizer.json of `byte_pairs` whose ids are places in `tokens`, which begin with the special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    merges = [tuple(pair) for pair in byte_pairs()[1]]
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    core.add_special_tokens(list(special))
    return core.to_str()


def words_of(shape: str, kind: str = "words") -> dict[str, object]:
    """vocabulary.json of a shape; letters are those of `TEXT` and `WRITTEN`."""
    source, target = SOURCE[1:], TARGET[1:]
    if kind == "subwords":
        source = byte_pairs()[0]
        target = ("<zh>", "<fr>", "</s>", *source)
        source = source if shape != "both" else target
    if kind == "characters":
        source = (*" abcdefghijklmnopqrstuvwxyzI.?",)
        target = ("<zh>", "<fr>", "</s>", *dict.fromkeys(WRITTEN))
    told = {
        "both": {"source": ("<pad>", *source), "target": ("<pad>", *target), "starts": {"zh": "<zh>", "fr": "<fr>"}},
        "decoder": {"source": (), "target": ("<pad>", "<s>", "</s>", *source), "starts": {"text": "<s>"}},
        "encoder": {"source": ("<pad>", "<mask>", *source), "target": (), "starts": {}},
    }  # fmt: skip
    return {"kind": kind} | told[shape]


def write_checkpoint(folder: Path, seed: int = 0, shape: str = "both", kind: str = "words", **changes: object) -> Path:
    """Write weights.safetensors, config.json, vocabulary.json and card.json of a random model of a shape into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    words = words_of(shape, kind)
    sides = {f"{side}_vocabulary": len(words[side]) for side in ("source", "target") if words[side]}
    sizes = config(**SHAPES[shape], **sides, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = shaken(Transformer(sizes), seed)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, folder / "weights.safetensors")
    if kind == "subwords":
        tokens = words["target"] or words["source"]
        special = [token for token in tokens if token.startswith("<") and token.endswith(">")]
        (folder / "tokenizer.json").write_text(tokenizer_of(tokens, special), encoding="utf-8")
    text = GAP if shape == "encoder" else TEXT
    card: dict[str, object] = {"name": folder.name, "title": {"en": "tiny"}, "examples": [text]}
    card |= {"languages": ["zh", "fr"]} if shape == "both" else {}
    for name, content in (("config", sizes.to_dict()), ("vocabulary", words), ("card", card)):
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder
