"""Where a training is written: the folder that it has by itself, and the refusal to write over a model that lies there."""

from __future__ import annotations

from pathlib import Path

from model.errors.training import ModelThere
from model.training.run_files.folder import RUN, run_of

# Below the current folder: an installed Headlight may lie where nobody may write.
CHECKPOINTS = Path("checkpoints")
_SHIPPED = Path(__file__).parents[3] / "checkpoints"
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
