"""Training a small model of a family again from its seed, and writing it as a folder of the library with a card."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from model.errors import BadOption, TrainingNotWritten
from model.files.atomic import remove
from model.small_families import heads
from model.small_families.family import SmallFamily
from model.small_families.loop import Curve, Progress, batches, optimise
from model.small_families.registry import small_family
from model.small_families.scores import held_out_batches, held_out_loss, held_out_texts, scored
from model.small_families.spans import PREFIX
from model.small_families.tokenizer import train_tokenizer
from model.training.language.texts import Text
from model.training.run_files.place import default_folder, refuse_model


def train(
    name: str, out: str | Path | None = None, steps: int | None = None, seed: int = 0,
    progress: Progress | bool = True, texts: int | None = None, replace: bool = False,
) -> str:  # fmt: skip
    """Train `name` ("small-bert", …) and write the folder `out` (else `default_folder`); says what it did.

    progress: True for a bar on stderr, False for silence, or a function (step, steps, values). texts: how many it is
    trained on. replace: let it take the place of a model that lies there. On one thread, so that the same seed gives the same
    numbers. Raises UnknownOption, BadOption, ModelThere, TrainingNotWritten.
    """
    family = small_family(name)
    out, steps = Path(out or default_folder(name)), family.steps if steps is None else steps
    _check(out, steps, seed, replace)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    progress, close = _bar(steps, name) if progress is True else (progress, lambda: None)
    try:
        with torch.random.fork_rng(devices=[]):
            module, tokenizer, curve = trained(family, steps, seed, progress or None, texts)
        close()
        _write(out, family, module, tokenizer, card(family, module, tokenizer, curve, seed, steps))
        told = _measured(out)
    finally:
        close()
        torch.set_num_threads(threads)
    return (
        f"{out}: {steps} steps in {curve.seconds:.0f} s; held-out loss {told['loss']} nats (a guess: {told['guess']})"
    )


def _check(out: Path, steps: int, seed: int, replace: bool) -> None:
    """Whether it can be written, before hours are spent. Raises BadOption, ModelThere, TrainingNotWritten."""
    for name, value, least in (("steps", steps, 1), ("seed", seed, 0)):
        if value < least:
            raise BadOption(what=name, got=value, allowed=f"a whole number from {least}")
    refuse_model(out, replace)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _of_library(out))):
        raise TrainingNotWritten(path=out, reason="something else than such a model lies there", step=0)


def _of_library(folder: Path) -> bool:
    return (folder / "card.json").is_file() and (folder / "tokenizer.json").is_file()


def trained(
    family: SmallFamily, steps: int, seed: int, progress: Progress | None = None, texts: int | None = None
) -> tuple[Any, Any, Curve]:
    """(the module, its tokenizer, how it went)."""
    found = list(islice(family.corpus(seed, "train"), texts or family.texts))
    tokenizer = train_tokenizer(family, [line for text in found for line in _lines(text)])
    module = fresh(family, tokenizer, seed)
    held = held_out_batches(family, tokenizer, held_out_texts(family, 100, "validation"))
    objective = family.objective
    rows = objective.rows(tokenizer, found)
    drawn = batches(rows, objective.length, family.batch, torch.Generator().manual_seed(seed))
    curve = optimise(
        module, drawn, objective.collator(tokenizer, seed + 1, steps // 2), steps, family.peak,
        lambda: held_out_loss(module, held, objective.shifted)[0], progress,
    )  # fmt: skip
    family.finish(module, tokenizer)
    return stored_precision(module), tokenizer, curve


def _lines(text: Text) -> tuple[str, ...]:
    return (PREFIX + text.text, text.summary) if text.summary else (text.text,)


def fresh(family: SmallFamily, tokenizer: Any, seed: int) -> Any:
    """The untrained model, its sizes and its special tokens' ids those of the tokenizer."""
    import transformers

    named = ("pad", "bos", "eos", "cls", "sep")
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in named}
    told = {name: number for name, number in ids.items() if number is not None}
    config = getattr(transformers, family.config)(**({"vocab_size": len(tokenizer)} | told | dict(family.sizes)))
    torch.manual_seed(seed)
    return getattr(transformers, family.model)(config)


def stored_precision(module: Any) -> Any:
    """The model as it will be opened: rounded to half precision."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.half().float())
    return module


def card(family: SmallFamily, module: Any, tokenizer: Any, curve: Curve, seed: int, steps: int) -> dict[str, Any]:
    """What is measured on held-out texts, and how it was made."""
    made = held_out_batches(family, tokenizer, held_out_texts(family))
    loss, labels = held_out_loss(module, made, family.objective.shifted)
    again = f" --steps {steps}" * (steps != family.steps) + f" --seed {seed}" * (seed != 0)
    return {
        "name": family.name, **family.card, "licence": "Apache-2.0",
        "parameters": sum(p.numel() for p in module.parameters()), "seed": seed, "steps": steps,
        "seconds": round(curve.seconds, 1), "command": f"python -m model train {family.name}{again}",
        "loss": round(loss, 4), "perplexity": round(math.exp(loss), 3), "guess": round(math.log(len(tokenizer)), 4),
        "labels": labels, **scored(family, module, tokenizer),
        "curve_columns": ["step", "train_loss", "validation_loss", "learning_rate"],
        "curve": [list(point) for point in curve.points],
    }  # fmt: skip


def _write(out: Path, family: SmallFamily, module: Any, tokenizer: Any, card: dict[str, Any]) -> None:
    """A folder of the library in half precision beside the old one, which it then replaces."""
    place = out.with_name(out.name + ".tmp")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    module.half().save_pretrained(place)
    module.float()
    tokenizer.save_pretrained(place)
    _write_card(place, card)
    for file in place.iterdir():
        file.chmod(0o644)
    if out.is_dir():  # what else lies there is not ours to delete
        remove([*out.glob("*.safetensors"), *out.glob("*.json")])
        for file in place.iterdir():
            os.replace(file, out / file.name)
        place.rmdir()
    else:
        os.replace(place, out)


def _write_card(folder: Path, card: dict[str, Any]) -> None:
    text = json.dumps(card, ensure_ascii=False, indent=1)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


def _measured(folder: Path) -> dict[str, Any]:
    """The written model opened, its heads measured, and the card with the one to look at."""
    told = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    told |= heads.to_look_at(folder, small_family(told["name"]))
    _write_card(folder, told)
    return told


def _bar(steps: int, name: str) -> tuple[Progress, Callable[[], None]]:
    """A tqdm bar on stderr, as a `Progress` and its close."""
    from tqdm import tqdm

    bar = tqdm(total=steps, desc=name, unit="step", file=sys.stderr)

    def show(step: int, _steps: int, values: dict[str, float]) -> None:
        bar.set_postfix({"loss": f"{values['loss']:.3f}", "held out": f"{values['validation']:.3f}"}, refresh=False)
        bar.update(step - bar.n)

    return show, bar.close
