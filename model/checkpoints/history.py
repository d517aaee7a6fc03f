"""The history of a training: the steps whose weights were kept, in a folder of ours or of the transformers library."""

from __future__ import annotations

from pathlib import Path

from model.checkpoints.disk import discovery
from model.checkpoints.disk.card import card_of
from model.checkpoints.disk.files import siblings, trained_steps
from model.checkpoints.disk.shipped import SHIPPED, shipped
from model.errors import NoHistory, NotAllowed, UnknownStep
from model.training.run_files.folder import WEIGHTS, run_of, snapshot, steps_of


def history(name: str | Path, *, confined: bool = False) -> list[int]:
    """The steps of which `open_model(name, step=…)` opens the weights, in order.

    name: a folder that `python -m model train` wrote (0 is the untrained model), one with the library's checkpoint-500,
    checkpoint-1000, … in it or one of these, or the name of a shipped or found one. confined: look nowhere outside the
    configured folders.
    Raises NoHistory or NotAllowed.
    """
    folder = _folder(name, confined)
    found = sorted(_kept(folder, confined))
    if not found:
        raise NoHistory(path=name)
    return found


def at_step(name: str | Path, step: int, *, confined: bool = False) -> tuple[Path, Path | None]:
    """(checkpoint folder, file of the weights where these are a snapshot of ours) of one step. Raises as `history`, and
    UnknownStep, which lists the steps there are."""
    steps = history(name, confined=confined)
    if step not in steps:
        raise UnknownStep(path=name, got=step, allowed=", ".join(map(str, steps)))
    return _kept(_folder(name, confined), confined)[step]


def _kept(folder: Path, confined: bool) -> dict[int, tuple[Path, Path | None]]:
    """Step -> (folder, snapshot of ours). Whoever opens one checkpoint of a training looks at the others beside it too."""
    if ours := steps_of(folder):
        found = {step: (folder, snapshot(folder, step)) for step in ours}
        if (last := _finished(folder)) > ours[-1]:  # the trained model itself, which no snapshot repeats
            found[last] = folder, folder / WEIGHTS
        return found
    found = trained_steps(folder) or siblings(folder)
    return {step: (path, None) for step, path in found.items() if not confined or discovery.allowed(path)}


def _finished(folder: Path) -> int:
    """The step of the trained weights, by the run's own file, else by the card; 0 while they are being trained."""
    if (told := run_of(folder)) is not None:
        return int(told["options"]["steps"]) if told.get("finished") else 0
    try:
        return card_of(folder).get("steps") or 0
    except (OSError, ValueError):
        return 0


def _folder(name: str | Path, confined: bool) -> Path:
    if str(name) in shipped():
        return SHIPPED / str(name)
    try:
        path = discovery.expanded(name)
        there = path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # nobody's home, a name that no file system takes
        raise NoHistory(path=str(name)[:200]) from error
    if confined and not discovery.allowed(path) and (there or path.is_absolute() or ".." in path.parts):
        raise NotAllowed(path=name)
    if not there:
        entry = discovery.discover(confined).get(str(name))
        if entry is None:
            raise NoHistory(path=name)
        return entry.path
    return path
