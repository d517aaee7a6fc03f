"""The app as its users start it, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRST_PORT = 8700
PATIENCE = 60  # s


def free_port() -> int:
    """The first port that nobody listens on, in a range of this test process's own: two would take the same one."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + 100 * worker
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError(f"no port is free from {first} on")


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def running(script: Path, log: Path, wait: bool = True, models: Path | None = None) -> Iterator[str]:
    """`streamlit run script` -> its URL; what the server says goes to `log`; `models` is its folder of checkpoints."""
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    # The repository's root is on the path, as it is for app.py, also for a script that lies elsewhere in it.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment["HEADLIGHT_LAB"] = str(log.with_suffix(".lab"))  # trainings of this server's own
    if models is not None:
        environment["HEADLIGHT_MODELS"] = str(models)
    with serving(command, ROOT, environment, log, wait) as url:
        yield url


@contextmanager
def serving(
    command: list[str], folder: Path, environment: dict[str, str], log: Path, wait: bool = True
) -> Iterator[str]:
    """A command that takes Streamlit's options, run in `folder` on a free port -> its URL; what it says goes to `log`."""
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true", "--server.fileWatcherType", "none"]
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, *options], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            start = time.monotonic()
            while wait and not healthy(url):
                if process.poll() is not None or time.monotonic() - start > PATIENCE:
                    raise RuntimeError(f"streamlit did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
