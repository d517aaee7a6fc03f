"""Freed memory stays with the process, where the C library can be told so."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

from model.checkpoints.record import malloc

SCRIPT = """
import ctypes, resource, torch
from model.checkpoints.record import malloc
assert malloc.keep_freed()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def run(): return [torch.empty(1 << 18).fill_(1.0) for _ in range(64)]  # 64 MiB in pieces of 1 MiB
for _ in range(3): run()
start = faults()
for _ in range(3): run()
kept = faults() - start
ctypes.CDLL(None).malloc_trim(0)
start = faults()
run()
print(kept, faults() - start)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns memory this way")
def test_a_second_run_touches_no_fresh_pages() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    kept, given_back = map(int, done.stdout.split())
    pages = 64 * 2**20 // resource.getpagesize()  # of one run
    assert kept < pages / 50 and given_back > pages / 2


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    malloc.keep_freed.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert malloc.keep_freed() is False
    malloc.keep_freed.cache_clear()
