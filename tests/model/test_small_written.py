"""What `train small-…` may write over: nothing but an older model of the same name, and that only once the new one is whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from model.errors import BadOption
from model.errors.training import ModelNotWritten
from model.small_families import train

NAME = "small-gpt"


class Files:
    """What the library writes of a module or a tokenizer."""

    def __init__(self, *names: str):
        self.names = names

    def half(self) -> Files:
        return self

    float = half

    def save_pretrained(self, folder: Path) -> None:
        for name in self.names:
            (folder / name).write_text("new", encoding="utf-8")


MODULE, TOKENIZER = Files("config.json", "model.safetensors"), Files("tokenizer.json")


def older(folder: Path, name: str = NAME) -> Path:
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({"name": name}), encoding="utf-8")
    for file in ("config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "thesis.json"):
        (folder / file).write_text("old", encoding="utf-8")
    return folder


def told(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.mark.parametrize("what", ["files", "other model", "card of nothing", "file", "proc"])
def test_a_folder_of_something_else_is_refused_before_training(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(train, "trained", lambda *given: pytest.fail("it trained"))
    out = tmp_path / "mine"
    if what == "proc":
        out = Path("/proc/x")
    elif what == "file":
        out.write_text("x", encoding="utf-8")
    else:
        older(out, "small-t5")
        if what == "files":
            (out / "card.json").unlink()
        if what == "card of nothing":
            (out / "card.json").write_text("[1]", encoding="utf-8")
    before = told(out) if out.is_dir() else None
    with pytest.raises(ModelNotWritten, match="Choose another folder"):
        train.train(NAME, out, steps=1, progress=False, replace=True)
    assert before is None or told(out) == before
    assert what == "proc" or [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("given", [{"steps": 0}, {"steps": -1}, {"seed": -1}, {"seed": 2**63}])
def test_numbers_out_of_range_are_refused_before_training(given: dict[str, int], tmp_path: Path):
    with pytest.raises(BadOption, match=next(iter(given))):
        train.train(NAME, tmp_path / "new", progress=False, **given)
    assert not list(tmp_path.iterdir())


def test_an_older_model_is_replaced_and_what_else_lies_there_stays(tmp_path: Path):
    out = older(tmp_path / "m")
    train._write(out, MODULE, TOKENIZER, {"name": NAME, "steps": 2})
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert card == {"name": NAME, "steps": 2}
    new = {"config.json": "new", "model.safetensors": "new", "tokenizer.json": "new", "thesis.json": "old"}
    assert {name: text for name, text in told(out).items() if name != "card.json"} == new
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("failing", [1, 2])
def test_where_it_cannot_take_its_place_the_older_model_stays(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = older(tmp_path / "m")
    before, real, count = told(out), os.rename, [0]

    def rename(a: Path, b: Path) -> None:
        count[0] += 1
        if count[0] == failing:
            raise OSError(28, "No space left on device")
        real(a, b)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(ModelNotWritten, match="no space left on device"):
        train._write(out, MODULE, TOKENIZER, {"name": NAME})
    assert told(out) == before and [path.name for path in tmp_path.iterdir()] == ["m"]
