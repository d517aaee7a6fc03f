"""A piece of a stranger's program in a process of its own, with little time and memory: it may hang, and be ended."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from model.jobs.progress import tick

SECONDS, BYTES = 3.0, 2**30  # that a piece may take, once what it imports is there
_IMPORTING = 60.0
_EVERY = 0.05  # seconds between two looks at whether it is done, and whether somebody pressed Stop
# POSIX has limits of memory; elsewhere the time alone is one.
_LIMITED = """
import json, sys
given = json.load(sys.stdin)
{imports}
try:
    import resource
    with open("/proc/self/status") as status:
        data = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (data + {most}, data + {most}))
    # Whoever would end it may be killed first: then it ends by itself.
    spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (spent + {seconds} + 2, spent + {seconds} + 2))
except (ImportError, OSError, ValueError, StopIteration):
    pass
sys.stdout.write(" ")
sys.stdout.flush()
try:
    made = {{"made": make(given)}}
except Exception as error:
    made = {{"failed": (str(error).strip().splitlines() or [type(error).__name__])[0][:200]}}
sys.stdout.write(json.dumps(made))
"""


class Gave(Exception):
    """What went wrong in the child, in words; "" where it took too long or too much."""


def run(code: str, given: object, seconds: float = SECONDS, most: int = BYTES) -> Any:
    """What the function `make` of `code` makes of `given`; both are JSON. Ticks while it waits, and ends the child on Stop.

    Raises Gave.
    """
    script = _LIMITED.format(imports=code, most=most, seconds=math.ceil(seconds))
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as asked:
        asked.write(json.dumps(given).encode())
        asked.seek(0)
        child = subprocess.Popen([sys.executable, "-c", script], stdin=asked, stdout=told, stderr=subprocess.DEVNULL)
        try:
            end, ready = time.monotonic() + _IMPORTING, False
            while child.poll() is None:
                if not ready and os.fstat(told.fileno()).st_size:
                    end, ready = time.monotonic() + seconds, True
                if time.monotonic() > end:
                    raise Gave("")
                tick("checking", None)
                time.sleep(_EVERY)
        finally:
            child.kill()
            child.wait()
        told.seek(0)
        try:
            answer = json.loads(told.read())
        except ValueError as error:
            raise Gave("") from error
    if "failed" in answer:
        raise Gave(answer["failed"])
    return answer["made"]
