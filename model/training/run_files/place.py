"""Where a training is written: the folder that it has by itself, and the refusal to write over a model that lies there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from model.errors import DamagedTraining
from model.errors.training import ModelThere
from model.files.atomic import remove, write_json
from model.training.run_files.folder import LOG, NEW, OLD, RUN, SNAPSHOTS, STATE, WEIGHTS, run_of

# Below the current folder: an installed Headlight may lie where nobody may write.
CHECKPOINTS = Path("checkpoints")
_SHIPPED = Path(__file__).parents[3] / "checkpoints"
# The files of a run, which are deleted where another takes its place; what else lies there stays.
_OURS = (
    WEIGHTS, LOG, RUN, STATE, "config.json", "vocabulary.json", "tokenizer.json", "card.json", "heartbeat.json", "control.json",
    "lock", "output.txt",
)  # fmt: skip
_MODEL = ("*.safetensors", "*.bin", "config.json", "card.json", RUN)


def default_folder(name: str) -> Path:
    """checkpoints/<name>; where those are the models that ship with Headlight, <name> in the current folder."""
    return Path(name) if CHECKPOINTS.resolve() == _SHIPPED.resolve() else CHECKPOINTS / name


def refuse_model(folder: Path, replace: bool) -> None:
    """Raises ModelThere for a folder that holds a model, where nobody asked to replace it. A training on its way is none yet:
    whoever begins another there hears how to go on with it."""
    told = run_of(folder)
    if told is not None and not told.get("finished"):
        return
    if not replace and any(any(folder.glob(pattern)) for pattern in _MODEL):
        raise ModelThere(path=folder)


def place_of(folder: Path, replaces: str | None) -> Path:
    """Where the run in `folder` belongs once it is finished: there, or where the model lies whose place it takes, which is the
    folder beside it of the same name without .new. Raises DamagedTraining where its run.json names another one."""
    place = folder.with_name(folder.name.removesuffix(NEW))
    if replaces is None or Path(replaces).name == place.name:
        return folder if replaces is None else place
    raise DamagedTraining(
        path=folder, reason=f"it would replace {replaces}, which is not the folder that it was made for"
    )


def on_the_way(folder: Path) -> Path:
    """Where the run lies that whoever names `folder` means: beside it, where one takes the place of the model in it."""
    new, told = folder.with_name(folder.name + NEW), run_of(folder)
    if told is not None and not told.get("finished"):
        return folder
    coming = run_of(new)
    return new if coming is not None and coming["options"].get("replaces") else folder


def put_in_place(folder: Path, options: dict[str, object]) -> Path:
    """Give a finished run the folder where it belongs, which is returned; what lay there is deleted only when it has it.

    Killed at any instant, what lies at either place opens, and the same call finishes it. Raises DamagedTraining or OSError.
    """
    place = place_of(folder, options["replaces"])
    if options["replaces"] is None:
        return folder
    old = place.with_name(place.name + OLD)
    if folder != place:
        remove([folder / STATE])
        if place.exists():
            if not (place / WEIGHTS).exists():
                raise DamagedTraining(path=folder, reason=f"something else than a model lies in {place}")
            if old.exists():
                _moved_over(old, place)
            os.rename(place, old)
        os.rename(folder, place)
    if old.exists():
        _moved_over(old, place)
    write_json(place / RUN, {"options": options | {"replaces": None}, "finished": True})
    return place


def _moved_over(old: Path, place: Path) -> None:
    """Delete the model in `old`; what else lies there goes to `place`."""
    shutil.rmtree(old / SNAPSHOTS, ignore_errors=True)
    for path in sorted(old.iterdir()):
        if path.name in _OURS:
            path.unlink(missing_ok=True)
        elif not (place / path.name).exists():
            os.rename(path, place / path.name)
    try:
        old.rmdir()
    except OSError:  # what `place` has another of stays where it is
        old.rename(_free(old))


def _free(path: Path) -> Path:
    number = 2
    while path.with_name(f"{path.name}-{number}").exists():
        number += 1
    return path.with_name(f"{path.name}-{number}")
