"""Writing a trained model: weights, sizes, vocabulary and a model card that says what was measured."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from model.training.data import data_hash
from model.training.evaluate import agreement, exact_match
from model.training.recipes import Run
from model.transformer.encoder_decoder import Transformer

FP32_LIMIT = 5_000_000  # bytes; above it the weights are kept in half precision


def card_of(run: Run, seed: int, steps: int, fingerprint: str, test_seed: int) -> dict[str, object]:
    """Measure the averaged model on its test set and describe it."""
    made, module = run.recipe, stored_precision(run.average)
    test, alignment = {}, {}
    for language in made.languages:
        examples = made.examples("test", language, made.test_size, test_seed)
        score, _ = exact_match(module, examples, run.vocabulary)
        test[language] = {"exact_match": round(score, 5), "n": len(examples), "sample_hash": data_hash(examples[:200])}
        for rows, found in agreement(module, examples, run.vocabulary).items():
            site, head, value = found.best
            alignment.setdefault(language, {})[rows] = {
                "site": site,
                "head": head,
                "agreement": round(value, 4),
                "words": found.words,
                "every_head": {where: [round(v, 4) for v in row] for where, row in found.scores.items()},
            }
    return {
        "name": made.name,
        **made.card,
        "licence": "Apache-2.0",
        "parameters": sum(p.numel() for p in module.parameters()),
        "seed": seed,
        "steps": steps,
        "seconds": round(run.seconds, 1),
        "command": _command(made.name, seed, None if steps == made.steps else steps),
        "training_pairs": made.train_size * len(made.languages),
        "data_hash": fingerprint,
        "test": test,
        "alignment_rows": {
            "predicting": "decoder position whose output is the word",
            "reading": "decoder position whose input is the word",
        },
        "alignment": alignment,
        **{name: measure(module, run.vocabulary) for name, measure in made.measures.items()},
        "curve_columns": ["step", "train_loss", "validation_loss", "learning_rate"],
        "curve": [list(point) for point in run.curve],
    }


def _command(name: str, seed: int, steps: int | None) -> str:
    return (
        f"python -m model train {name}" + (f" --steps {steps}" if steps else "") + (f" --seed {seed}" if seed else "")
    )


def stored_precision(module: Transformer) -> Transformer:
    """The model as it will be after saving and opening: rounded to half precision where fp32 would be too large."""
    if _dtype(module) is torch.float16:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(parameter.half().float())
    return module


def _dtype(module: Transformer) -> torch.dtype:
    size = 4 * sum(p.numel() for p in module.parameters())
    return torch.float32 if size < FP32_LIMIT else torch.float16


def _write_weights(path: Path, module: Transformer) -> None:
    from safetensors.torch import save_file

    dtype = _dtype(module)
    path.parent.mkdir(parents=True, exist_ok=True)
    half_written = path.with_name(path.name + ".tmp")
    save_file({name: value.to(dtype).contiguous() for name, value in module.state_dict().items()}, half_written)
    half_written.chmod(0o644)  # safetensors writes for the owner alone
    os.replace(half_written, path)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def save_trained(out: Path, run: Run, card: dict[str, object]) -> None:
    """Write the four files of a checkpoint; each replaces the old one only when it is complete."""
    words = run.vocabulary
    _write_weights(out / "weights.safetensors", run.average)
    _write_json(out / "config.json", run.average.config.to_dict())
    _write_json(
        out / "vocabulary.json",
        {"kind": words.kind, "starts": dict(words.starts), "source": list(words.source), "target": list(words.target)},
    )
    _write_json(out / "card.json", card)


def save_partial(out: Path, run: Run) -> Path:
    """What an interrupted training leaves: averaged weights beside the good ones, never over them."""
    path = out / "weights.safetensors.partial"
    _write_weights(path, run.average)
    return path
