"""A pipe, a socket or a device in place of a file is said to be one, at once, and never "no such file"."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from model import open_model
from model.checkpoints.convert import path_kind
from model.checkpoints.media import picture_files, wav
from model.data_files.read import DataFile
from model.errors import HeadlightError, NotARegularFile, TraceFileError
from model.evaluation.evaluation import Evaluation
from model.profile.read import Profile
from model.profile.texts import scan
from model.trace.saved.file import load

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a folder of a model": ("model", lambda path: open_model(str(path))),
    "a model": ("model.gguf", lambda path: open_model(str(path))),
    "weights": ("model.safetensors", lambda path: open_model(str(path))),
    "a trace": ("run.safetensors", load),
    "texts": ("texts.txt", scan),
    "data": ("pairs.tsv", DataFile.open),
    "a profile": ("profile.parquet", Profile.open),
    "an evaluation": ("evaluation.parquet", Evaluation.open),
    "a picture": ("picture.png", picture_files.read_picture),
    "a sound": ("sound.wav", wav.read_wav),
}


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(path.parent)  # an address has room for 108 characters
        made.bind(path.name)
        os.chdir(before)


KINDS = {"a pipe": os.mkfifo, "a socket": _socket, "a device": lambda path: path.symlink_to("/dev/zero")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", READERS)
def test_what_is_no_regular_file_is_said_to_be_none(tmp_path: Path, what: str, kind: str) -> None:
    name, read = READERS[what]
    KINDS[kind](tmp_path / name)
    with pytest.raises(HeadlightError) as caught:
        read(tmp_path / name)
    said = str(caught.value)
    assert f"is {kind}, not a regular file" in said and len(said) <= 300
    assert "no such file" not in said.lower() and "no model called" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_said_before_it_is_opened(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path / "model")
    assert path_kind.kind_at(tmp_path / "model") == ""
    assert isinstance(path_kind.refusal(tmp_path / "model"), NotARegularFile)


def test_nothing_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(TraceFileError, match="there is no such file"):
        load(tmp_path / "nothing.safetensors")
    with pytest.raises(TraceFileError, match="it is a folder, not a regular file"):
        load(tmp_path)
