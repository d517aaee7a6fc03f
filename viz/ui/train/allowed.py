"""Who may train here, and the runs that there are, by names that a link can carry."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from model.checkpoints.disk import discovery
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.lab.runs import Status


def may_train() -> bool:
    """The person at this computer; others only where whoever runs the server put the lab's folder (HEADLIGHT_LAB) among the
    folders of models, from which they may open what was trained."""
    from model.lab.queue import lab_folder

    return not model_list.confined() or discovery.allowed(lab_folder())


def runs() -> list[Status]:
    """Every run of this lab that the person may open, the newest first."""
    from model.lab import runs as lab

    return [one for one in lab.runs() if not model_list.confined() or discovery.allowed(one.folder)]


def identity(folder: Path) -> str:
    """A run in a link: short, and no path."""
    return f"{zlib.crc32(str(folder).encode()):08x}"


def watch(folder: Path) -> None:
    """Show this run; for a callback."""
    view.open_tab("train_run", identity(folder))
    view.open_tab("train", "run")
