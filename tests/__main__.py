"""`python -m tests`: find or get a Chromium and trained weights, check the style, run every test. Arguments go to pytest.

Then the tests that compare float32 numbers (the marker `float32`) run once more with the vector instructions of other
processors, so that one machine shows what another would: torch adds up 4, 8 or 16 numbers at a time, by what it finds.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from tests import weights
from tests.browser import chromium

ROOT = Path(__file__).parents[1]
# A file's tests share what they opened, so that a file goes to one process.
PARALLEL = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
SLOWEST = "--durations=10"
# What torch's own kernels may be held to (ATen/native/DispatchStub.cpp); MKL's and oneDNN's follow a switch of their own.
CAPABILITY = "ATEN_CPU_CAPABILITY"
OTHERS = {
    "default": {CAPABILITY: "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "avx2": {CAPABILITY: "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
# Shapes and types are what they are on any processor: one pass of the tests that compute holds them, and takes a third longer.
TYPED = ("--jaxtyping-packages=model,beartype.beartype",)
X86 = ("x86_64", "amd64")
MARKER = "float32"
WHERE = ("tests/model", "tests/viz")  # the others start an application each, and look at what these compute
NONE_SELECTED = 5  # pytest's exit status where its arguments select no test
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
    typed = () if platform.machine().lower() in X86 else TYPED
    first = run(("pytest", *typed, *PARALLEL, SLOWEST, *arguments), environment)
    return first or next(filter(None, other_processors(arguments, environment)), int(any(style)))


def other_processors(arguments: list[str], environment: dict[str, str]) -> list[int]:
    """pytest's exit status of the marked tests as each of `OTHERS` computes them; 0 where the arguments select none."""
    if platform.machine().lower() not in X86:
        print(
            f"{CAPABILITY} means nothing on {platform.machine()}: the tests of float32 numbers run once, as it computes."
        )
        return []
    statuses = []
    for name, held in OTHERS.items():
        print(f"\nThe tests of float32 numbers, with {CAPABILITY}={name}:", flush=True)
        typed = TYPED if name == "default" else ()
        status = run(("pytest", *typed, *PARALLEL, *marked(arguments)), environment | held)
        statuses.append(0 if status == NONE_SELECTED else status)
    return statuses


def marked(arguments: list[str]) -> list[str]:
    """pytest's arguments, of which only marked tests are left: `-m slow` becomes `-m "(slow) and float32"`."""
    places = [argument for argument in arguments if (ROOT / argument.split("::")[0]).exists()]
    wanted = list(arguments)
    for i, argument in enumerate(wanted[:-1]):
        if argument == "-m":
            wanted[i + 1] = f"({wanted[i + 1]}) and {MARKER}"
            break
    else:
        wanted += ["-m", MARKER]
    return wanted if places else [*wanted, *WHERE]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
