"""A small untrained checkpoint, so that the tests depend on no trained weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.transformer.config import TransformerConfig
from model.transformer.encoder_decoder import Transformer

SOURCE = ("<pad>", "the", "cat", "sat", "on", "mat", "I", "like", "cats", "dogs", "see", "black", "a", ".", "?")
TARGET = ("<pad>", "<zh>", "<fr>", "</s>", "我", "喜欢", "猫", "狗", "j'", "aime", "les", "chats", "le", "chat", "。")
TEXT, WRITTEN = "the cat sat on the mat", "我 喜欢 猫 。"
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


def write_checkpoint(folder: Path, seed: int = 0, **changes: object) -> Path:
    """Write weights.safetensors, config.json, vocabulary.json and card.json of a random model into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = config(**changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = shaken(Transformer(sizes), seed)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, folder / "weights.safetensors")
    words = {"kind": "words", "source": SOURCE, "target": TARGET, "starts": {"zh": "<zh>", "fr": "<fr>"}}
    card = {"name": folder.name, "title": {"en": "tiny"}, "examples": [TEXT], "languages": ["zh", "fr"]}
    for name, content in (("config", sizes.to_dict()), ("vocabulary", words), ("card", card)):
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder
