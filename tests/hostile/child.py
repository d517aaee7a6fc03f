"""A child process that opens hostile files: forked from a server that has the libraries imported, with limits of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pkgutil
import resource
import shutil
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.hostile import makers
from tests.hostile.case import CASES, Case

SECONDS, BYTES = 10, 2**30  # that opening one file may take, beyond what the libraries take themselves
_MAKING = 60  # seconds: the originals are made by whoever needs them first
RAN = "a-strangers-code-ran"  # the file that code inside a hostile file would write

for found in pkgutil.iter_modules(makers.__path__):
    importlib.import_module(f"{makers.__name__}.{found.name}")


class Child:
    """A process that opens one file after the other; where one takes it down, the next gets a new one."""

    def __init__(self, root: Path):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.hostile.preload"])
        self._root, self._process, self._line = root, None, None

    def open(self, name: str) -> dict[str, Any]:
        """{"how": "refused", "opened", "failed", "died" or "late", "said", "trace"}."""
        if self._process is None:
            self._start()
        self._line.send(name)
        for seconds, how in ((_MAKING, "not made"), (SECONDS, "late")):
            if not self._line.poll(seconds):
                self.close()
                return {"how": how, "said": f"after {seconds} s"}
            try:
                told = self._line.recv()
            except EOFError:
                self._process.join()
                told, code = None, self._process.exitcode
                self.close()
                return {"how": "died", "said": f"exit status {code}"}
            if told != "made":
                return told
        raise AssertionError("a child answers once")

    def _start(self) -> None:
        self._line, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, str(self._root)), daemon=True)
        self._process.start()
        theirs.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._line.close()
        self._process = self._line = None


def _serve(line: Connection, root: str) -> None:
    sound = Path(root) / "sound"
    sound.mkdir(exist_ok=True)
    os.environ |= {
        "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": f"{root}/hub", "HEADLIGHT_CACHE": f"{root}/cache", "HEADLIGHT_MODELS": "",
    }  # fmt: skip
    while True:
        try:
            name = line.recv()
        except EOFError:
            return
        folder = Path(tempfile.mkdtemp(dir=root))
        os.environ["HEADLIGHT_RAN"] = str(folder.parent / f"{folder.name}-{RAN}")
        try:
            made = CASES[name].make(folder, sound)
            line.send("made")
            line.send(_opened(CASES[name], made))
        except Exception:
            line.send({"how": "not made", "said": "", "trace": traceback.format_exc()})
        shutil.rmtree(folder, ignore_errors=True)


def _opened(case: Case, made: object) -> dict[str, Any]:
    from model.errors import HeadlightError
    from tests.hostile import opening

    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (_data() + BYTES, before[1]))
        try:
            red = getattr(opening, case.opens)(made)
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)
    except HeadlightError as error:
        told = {"how": "refused", "said": str(error), "code": error.code, "trace": traceback.format_exc()}
    except BaseException:
        told = {"how": "failed", "said": "", "trace": traceback.format_exc()}
    else:
        told = {"how": "opened", "said": red or "", "trace": ""}
    return told | {"ran": Path(os.environ["HEADLIGHT_RAN"]).exists()}


def _data() -> int:
    """Bytes of private memory that this process has."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
