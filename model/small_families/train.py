"""Training a small model of a family again from its seed, and writing it as a folder of the library with a card."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from model.errors import BadOption
from model.errors.training import ModelNotWritten
from model.files.regular import json_of
from model.small_families import heads
from model.small_families.family import SmallFamily
from model.small_families.loop import Curve, Progress, batches, optimise
from model.small_families.registry import small_family
from model.small_families.scores import held_out_batches, held_out_loss, held_out_texts, scored
from model.small_families.spans import PREFIX
from model.small_families.tokenizer import train_tokenizer
from model.training.language.texts import Text
from model.training.options import LARGEST_SEED
from model.training.run_files.place import default_folder, refuse_model

# What the library and we write of a model: of a folder that is replaced nothing else is deleted.
_OURS = (
    "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "vocab.txt", "vocab.json", "merges.txt", "card.json",
)  # fmt: skip


def train(
    name: str, out: str | Path | None = None, steps: int | None = None, seed: int = 0,
    progress: Progress | bool = True, texts: int | None = None, replace: bool = False,
) -> str:  # fmt: skip
    """Train `name` ("small-bert", …) and write the folder `out` (else `default_folder`); says what it did.

    progress: True for a bar on stderr, False for silence, or a function (step, steps, values). texts: how many it is
    trained on. replace: let it take the place of a model that lies there. On one thread, so that the same seed gives the same
    numbers. Raises UnknownOption, BadOption, ModelThere, ModelNotWritten.
    """
    family = small_family(name)
    out, steps = Path(out or default_folder(name)), family.steps if steps is None else steps
    _check(out, name, steps, seed, replace)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    progress, close = _bar(steps, name) if progress is True else (progress, lambda: None)
    try:
        with torch.random.fork_rng(devices=[]):
            module, tokenizer, curve = trained(family, steps, seed, progress or None, texts)
        close()
        _write(out, module, tokenizer, card(family, module, tokenizer, curve, seed, steps))
        told = _measured(out)
    finally:
        close()
        torch.set_num_threads(threads)
    return (
        f"{out}: {steps} steps in {curve.seconds:.0f} s; held-out loss {told['loss']} nats (a guess: {told['guess']})"
    )


def _check(out: Path, name: str, steps: int, seed: int, replace: bool) -> None:
    """Whether it can be written, before hours are spent. Raises BadOption, ModelThere, ModelNotWritten."""
    for option, value, least, most in (("steps", steps, 1, 10**9), ("seed", seed, 0, LARGEST_SEED)):
        if not least <= value <= most:
            raise BadOption(what=option, got=value, allowed=f"a whole number from {least} to {most}")
    refuse_model(out, replace)
    try:
        if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _is_older(out, name))):
            raise ModelNotWritten(path=out, reason=f"something else than an older {name} lies there")
        _beside(out).rmdir()
    except OSError as error:
        raise ModelNotWritten(path=out, reason=(error.strerror or str(error)).lower()) from error


def _is_older(folder: Path, name: str) -> bool:
    try:
        return (folder / "tokenizer.json").is_file() and json_of(folder / "card.json").get("name") == name
    except (AttributeError, OSError, ValueError):
        return False


def _beside(out: Path) -> Path:
    """A new folder next to `out`, of nobody else. Raises OSError where none may be made there."""
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))


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


def _write(out: Path, module: Any, tokenizer: Any, card: dict[str, Any]) -> None:
    """A folder of the library in half precision beside the old one, whose place it takes once it is whole; what else lies in the
    old one moves over. Raises ModelNotWritten."""
    try:
        place = _beside(out)
        try:
            module.half().save_pretrained(place)
            module.float()
            tokenizer.save_pretrained(place)
            _write_card(place, card)
            place.chmod(0o755)
            for file in place.iterdir():
                file.chmod(0o644)
            _take_place(place, out)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        raise ModelNotWritten(path=out, reason=(error.strerror or str(error)).lower()) from error


def _take_place(place: Path, out: Path) -> None:
    """Give the whole folder `place` the name `out`; of what lay there only an older model's own files are deleted."""
    out = out.resolve()  # a link stays one
    if not out.exists():
        os.rename(place, out)
        return
    old = _beside(out)
    old.rmdir()  # Windows gives no folder the name of another one
    os.rename(out, old)
    try:
        os.rename(place, out)
    except OSError:
        os.rename(old, out)
        raise
    for path in old.iterdir():
        if path.name in _OURS:
            path.unlink()
        else:
            os.rename(path, out / path.name)
    old.rmdir()


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
