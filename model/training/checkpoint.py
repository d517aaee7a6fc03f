"""Writing a trained model: weights, sizes, vocabulary and a model card that says what was measured."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from model.files.atomic import write_bytes, write_json
from model.text.tokenizer import MASK, pieces_text
from model.training.data import data_hash, encode
from model.training.evaluate import agreement, exact_match, held_out_loss
from model.training.objectives import OBJECTIVES
from model.training.options import SIZES, options_of
from model.training.run_files.folder import WEIGHTS, log_of
from model.transformer.encoder_decoder import Transformer

if TYPE_CHECKING:
    from model.training.options import Options
    from model.training.tasks.task import Data
    from model.training.trainer import Trainer

FP32_LIMIT = 5_000_000  # bytes; above it the weights are kept in half precision
_CURVE = ("step", "train_loss", "validation_loss", "learning_rate")
_SHOWN = 8  # examples of a file of one's own that the card lists


def beginning(trainer: Trainer) -> dict[str, Any]:
    """What is known of a model before it is trained."""
    task, options, data = trainer.task, trainer.options, trainer.data
    return {
        "name": task.name,
        **task.card,
        **({} if "examples" in task.card else {"examples": _examples(data)}),
        "licence": "Apache-2.0",
        "parameters": sum(p.numel() for p in trainer.average.parameters()),
        "seed": options.seed,
        "steps": trainer.step,
        "command": command_of(options),
        "training_pairs": len(data.train),
        "data_hash": trainer.data_hash,
        **data.facts,
        "guess_loss": guess_loss(trainer),
    }


def guess_loss(trainer: Trainer) -> float:
    """ln |V|, nats: the loss of whoever gives every token of the vocabulary the same probability."""
    return math.log(trainer.average.project.out_features)


def card_of(trainer: Trainer, folder: Path) -> dict[str, Any]:
    """Measure the averaged model, as it is stored, on its test set and describe it."""
    task, words = trainer.task, trainer.vocabulary
    module = stored_precision(trainer.average)
    measured = _pairs_card(trainer, module) if task.shape == "pairs" else {}
    every = [example for examples in trainer.data.test.values() for example in examples]
    held_out = held_out_loss(module, encode(every, words), OBJECTIVES[task.shape], task.metrics)
    return {
        **beginning(trainer),
        "seconds": round(trainer.seconds, 1),
        "held_out": {name: round(value, 5) for name, value in held_out.items()} | {"n": len(every)},
        **measured,
        **{name: told for name, measure in task.measures.items() if (told := measure(module, words)) is not None},
        "curve_columns": list(_CURVE),
        "curve": _curve(folder),
    }


def _pairs_card(trainer: Trainer, module: Transformer) -> dict[str, Any]:
    test, alignment = {}, {}
    for language, examples in trainer.data.test.items():
        score, _ = exact_match(module, examples, trainer.vocabulary)
        test[language] = {"exact_match": round(score, 5), "n": len(examples), "sample_hash": data_hash(examples[:200])}
        aligned = any(any(example.alignment) for example in examples)
        for rows, found in agreement(module, examples, trainer.vocabulary).items() if aligned else ():
            site, head, value = found.best
            alignment.setdefault(language, {})[rows] = {
                "site": site,
                "head": head,
                "agreement": round(value, 4),
                "words": found.words,
                "every_head": {where: [round(v, 4) for v in row] for where, row in found.scores.items()},
            }
    rows = {
        "predicting": "decoder position whose output is the word",
        "reading": "decoder position whose input is the word",
    }
    return {"test": test, **({"alignment_rows": rows, "alignment": alignment} if alignment else {})}


def _curve(folder: Path) -> list[list[float]]:
    """[step, mean loss since the last of these points, validation loss, learning rate] of each evaluation in the log."""
    curve, recent = [], []
    for line in log_of(folder):
        recent.append(line["loss"])
        if "validation_loss" in line:
            rate, mean = round(line["learning_rate"], 7), round(sum(recent) / len(recent), 5)
            curve.append([line["step"], mean, round(line["validation_loss"], 5), rate])
            recent = []
    return curve


def _examples(data: Data) -> list[str]:
    """Of the test set, as a person would type them; of a text with gaps its middle token is one."""
    found = []
    for example in [e for examples in data.test.values() for e in examples][:_SHOWN]:
        tokens = list(example.source or example.target)
        if not example.target:
            tokens[len(tokens) // 2] = MASK
        found.append(pieces_text(tokens, data.vocabulary.kind))
    return found


def command_of(options: Options) -> str:
    """What to type to train this model again: the task and every option that is not its default."""
    told, same = options.to_dict(), options_of(options.task, data=options.data, steps=options.steps).to_dict()
    asked: Mapping[str, Any] = {"data": Path(options.data).name} if options.data else {}
    if options.steps != options_of(options.task, data=options.data).steps:
        asked = {**asked, "steps": options.steps}
    passed_over = ("sizes", "data", "steps", "task", "log_dir", "trackio", "replaces", "threads", "save_seconds")
    asked = {**asked, **{k: told[k] for k in told if k not in passed_over and told[k] != same[k]}}
    asked |= {k: told["sizes"][k] for k in SIZES if k in told["sizes"] and told["sizes"][k] != same["sizes"].get(k)}
    words = [part for name, value in asked.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return shlex.join(["python", "-m", "model", "train", options.task, *words])


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


def write_weights(path: Path, module: Transformer) -> None:
    """The weights alone, in the precision that they are stored in. Raises OSError."""
    from safetensors.torch import save

    dtype = _dtype(module)
    write_bytes(path, save({name: value.to(dtype).contiguous() for name, value in module.state_dict().items()}))


def write_model(folder: Path, trainer: Trainer, card: Mapping[str, Any]) -> None:
    """The files of a checkpoint; each replaces the old one only when it is complete. Raises OSError."""
    words = trainer.vocabulary
    write_json(folder / "config.json", trainer.average.config.to_dict())
    write_json(
        folder / "vocabulary.json",
        {"kind": words.kind, "starts": dict(words.starts), "source": list(words.source), "target": list(words.target)},
    )
    if trainer.data.tokenizer is not None:
        write_bytes(folder / "tokenizer.json", trainer.data.tokenizer.encode())
    write_json(folder / "card.json", card)
    write_weights(folder / WEIGHTS, trainer.average)
