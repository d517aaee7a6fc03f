"""The finished runs of this lab, as models to choose from by their paths."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from model.checkpoints.disk import discovery
from viz.ui.state import model_list


def paths() -> list[str]:
    """The folders of finished runs, of every seed, the newest first, that no list of models names already."""
    listed = {entry.path.resolve() for entry in model_list.found().values()}
    every = [folder for folder in _finished() if folder.resolve() not in listed]
    return [str(folder) for folder in every if not model_list.confined() or discovery.allowed(folder)]


@st.cache_resource(ttl=5, show_spinner=False)
def _finished() -> list[Path]:
    from model.lab import runs
    from model.training.run_files.folder import WEIGHTS
    from model.training.seeds import folders_of

    folders = [folder for run in runs.runs() if run.state == "finished" for folder in folders_of(run.folder)]
    return [folder for folder in folders if (folder / WEIGHTS).is_file()]
