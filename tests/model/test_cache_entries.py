"""The user's cache under faults: damaged entries are made again, kills leave nothing that opens and nothing that stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("transformers")
from model import open_model
from model.checkpoints.convert import cache_entry, convert
from model.checkpoints.disk import packages
from model.checkpoints.random_models import make
from tests.model.test_conversion import fairseq

pytestmark = [pytest.mark.float32, pytest.mark.skipif(os.name != "posix", reason="locks and SIGKILL are of POSIX")]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """(a fairseq file, a cache in which it is converted)."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(convert.VARIABLE, str(root / "cache"))
        path = fairseq(root / "made")
        convert.convert(path)
        yield path, root / "cache"


@pytest.fixture
def entry(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """(the file, its folder in a cache of this test)."""
    path, cache = made
    shutil.copytree(cache, tmp_path / "cache")
    monkeypatch.setenv(convert.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "PACKAGES", ())
    return path, next((tmp_path / "cache" / "converted").iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "weights cut": lambda folder: os.truncate(folder / "model.safetensors", 900),
    "weights empty": lambda folder: os.truncate(folder / "model.safetensors", 0),
    "weights gone": lambda folder: (folder / "model.safetensors").unlink(),
    "a bit of the weights": lambda folder: flip(folder / "model.safetensors", -5),
    "a bit of the weights' header": lambda folder: flip(folder / "model.safetensors", 40),
    "tokenizer gone": lambda folder: (folder / "tokenizer.json").unlink(),
    "a bit of the tokenizer": lambda folder: flip(folder / "tokenizer.json", 200),
    "a bit of the configuration": lambda folder: flip(folder / "config.json", 30),
    "a bit of the manifest": lambda folder: flip(folder / cache_entry.MANIFEST, 30),
    "manifest gone": lambda folder: (folder / cache_entry.MANIFEST).unlink(),
    "manifest a list": lambda folder: (folder / cache_entry.MANIFEST).write_text("[]"),
    "manifest of nothing": lambda folder: (folder / cache_entry.MANIFEST).write_text('{"files": {}}'),
    "a folder for a file": lambda folder: ((folder / "config.json").unlink(), (folder / "config.json").mkdir()),
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_converted_again(entry: tuple[Path, Path], damage: str) -> None:
    path, folder = entry
    sound = contents(folder)
    DAMAGE[damage](folder)
    assert convert.convert(path) == folder and contents(folder) == sound
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]


def test_a_bit_of_what_the_manifest_says_of_the_weights(entry: tuple[Path, Path]) -> None:
    path, folder = entry
    sound = contents(folder)
    flip(folder / cache_entry.MANIFEST, sound[cache_entry.MANIFEST].index(b'"weights": "') + 14)
    open_model(path)
    assert contents(folder) == sound


@pytest.mark.parametrize("place", [-5, 40])
def test_a_bit_of_large_weights_is_noticed_when_they_are_loaded(
    entry: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(cache_entry, "_OPENED_WHOLE", 0)
    path, folder = entry
    sound = contents(folder)
    flip(folder / "model.safetensors", place)
    assert convert.convert(path) == folder and contents(folder) != sound  # what opening does not read
    assert open_model(path).card["fresh"] == []
    assert contents(folder) == sound and [each.name for each in folder.parent.iterdir()] == [folder.name]


def test_what_fails_though_the_cache_is_whole_is_converted_once(
    entry: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from model.checkpoints.library import load
    from model.errors import NoTokenizer

    def fail(folder: Path) -> None:
        raise NoTokenizer(path=folder)

    monkeypatch.setattr(load, "_tokenizer", fail)
    path, folder = entry
    before = (folder / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(NoTokenizer):
        open_model(path)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["gpt2", "shaw"])
def test_a_damaged_small_model_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(convert.VARIABLE, str(tmp_path))
    folder = make.write(name)
    sound = contents(folder)
    flip(next(folder.glob("*.safetensors")), -5)
    assert make.write(name) == folder and contents(folder) == sound
    (folder / "config.json").unlink()
    assert make.write(name) == folder and contents(folder) == sound


# A process that imports once, and forks others that are killed: each at the next of the instants at which a conversion asks
# the system for something in the cache. After each nothing opens that is not whole, and the next conversion leaves nothing else.
_KILLED = """
import os, signal, sys
from pathlib import Path
from model.checkpoints.convert import cache_entry, convert

source, every = Path(sys.argv[1]), int(sys.argv[2])
convert.convert(source)
folder = next((convert.cache_folder() / "converted").iterdir())
sound = {path.name: path.read_bytes() for path in folder.iterdir()}

def killed(instant, damaged):
    # Whether the fork was killed: it may be through before that many instants have passed.
    if damaged:
        (folder / "config.json").write_text("{}")
    else:
        cache_entry.shutil.rmtree(folder)
    child = os.fork()
    if child == 0:
        seen = 0
        def hear(event, told):
            nonlocal seen
            if event != "os.kill" and event.partition(".")[0] in ("open", "os", "shutil", "tempfile", "fcntl"):
                seen += 1
                if seen > instant:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hear)
        convert.convert(source)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

for damaged in (False, True):
    instant = 0
    while killed(instant, damaged):
        assert not folder.exists() or damaged or cache_entry.is_whole(folder), instant
        assert convert.convert(source) == folder
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == sound, instant
        assert list(folder.parent.iterdir()) == [folder], instant
        instant += every
    print(instant)
"""


def test_a_kill_at_any_instant_leaves_nothing_that_opens_or_stays(made: tuple[Path, Path], tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _KILLED, str(made[0]), "3"], capture_output=True, text=True, cwd=ROOT,
        env=os.environ | {convert.VARIABLE: str(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    assert all(int(instants) > 20 for instants in told.stdout.split()), told.stdout


_WRITES = """
import sys, time
from pathlib import Path
from model.checkpoints.convert import cache_entry

with cache_entry.partial("a", Path(sys.argv[1])) as folder:
    print(folder.name, flush=True)
    time.sleep(600)
"""


def test_what_another_process_writes_stays_until_it_is_gone(tmp_path: Path) -> None:
    target = tmp_path / "gguf-0-2"
    command = [sys.executable, "-c", _WRITES, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writes:
        name = writes.stdout.readline().strip()
        assert name.startswith(target.name) and name.endswith(".partial")
        os.utime(tmp_path / name, (0, 0))  # however long it takes
        with cache_entry.partial("b", target) as mine:
            cache_entry.sweep(tmp_path)
            assert {path.name for path in tmp_path.iterdir()} == {name, mine.name}
        writes.send_signal(signal.SIGKILL)
    cache_entry.sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_sweep_at_a_servers_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(convert.VARIABLE, str(tmp_path))
    for folder in ("converted/gguf-0-2.x.partial", "small/1/random-gpt2.x.partial", "converted/gguf-0-2"):
        (tmp_path / folder / "inside").mkdir(parents=True)
    convert.sweep()
    assert sorted(path.name for path in tmp_path.glob("*/**/*")) == ["1", "gguf-0-2", "inside"]


def test_age_tells_where_a_file_system_knows_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_told: object) -> None:
        raise OSError("no locks")

    monkeypatch.setattr(cache_entry.fcntl, "flock", unknown)
    for name, age in (("old.partial", 0.0), ("new.partial", None)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, age if age is None else (age, age))
    cache_entry.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["new.partial"]
