"""`python -m tests`: find or get a Chromium and trained weights, check the style, run every test. Arguments go to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import weights
from tests.browser import chromium

ROOT = Path(__file__).parents[1]
# A file's tests share what they opened, so that a file goes to one process.
PARALLEL = ("-n", "2", "--dist", "loadfile")
STYLE = (("ruff", "check", "."), ("ruff", "format", "--check", "."))


def run(module: tuple[str, ...], environment: dict[str, str]) -> int:
    return subprocess.run([sys.executable, "-m", *module], cwd=ROOT, env=environment, check=False).returncode


def main(arguments: list[str]) -> int:
    """The exit status: pytest's, or 1 where only the style fails, or 2 where there is no browser."""
    browser = chromium.find() or chromium.get()
    if browser is None:
        print(chromium.HELP, file=sys.stderr)
        return 2
    chromium.ensure_font()
    # One thread each: the two test processes, the servers and the browsers already share the cores.
    environment = os.environ | {chromium.VARIABLE: browser, "OMP_NUM_THREADS": "1"}
    packages = [os.environ.get("HEADLIGHT_PACKAGES", ""), *map(str, weights.get())]
    environment["HEADLIGHT_PACKAGES"] = os.pathsep.join(filter(None, packages))
    style = [run(command, environment) for command in STYLE]
    return run(("pytest", *PARALLEL, *arguments), environment) or int(any(style))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
