"""A small model of ours with random weights whose positions are inside the scores (Shaw et al. 2018, section 3)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from model.checkpoints.disk.shipped import SHIPPED

_SIZES = {
    "d_model": 32, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "d_ff": 64, "dropout": 0.0, "max_length": 24,
    "positions": "relative", "relative_distance": 4,
}  # fmt: skip
_SHARPER = 3.0  # times the matrices of queries and keys: the scores of random ones are all alike
_LIKE = "translate"  # whose words it reads and writes


def save(place: Path, title: str) -> None:
    """Write the four files of a checkpoint into `place`. The same numbers every time."""
    import torch
    from safetensors.torch import save_file

    from model.transformer.config import TransformerConfig
    from model.transformer.encoder_decoder import Transformer

    like = json.loads((SHIPPED / _LIKE / "config.json").read_text(encoding="utf-8"))
    config = TransformerConfig(**(like | _SIZES))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Transformer(config)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.endswith(("query.weight", "key.weight")):
                weight.mul_(_SHARPER)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, place / "weights.safetensors")
    shutil.copyfile(SHIPPED / _LIKE / "vocabulary.json", place / "vocabulary.json")
    examples = json.loads((SHIPPED / _LIKE / "card.json").read_text(encoding="utf-8"))["examples"]
    card = {"title": title, "examples": examples, "test": {}, "licence": "Apache-2.0"}
    (place / "card.json").write_text(json.dumps(card, ensure_ascii=False), encoding="utf-8")
    (place / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
