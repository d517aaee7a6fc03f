"""What opening a model and recording a run will take, said before either is begun; nothing here imports torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoints.disk import files as checkpoint_files
from model.checkpoints.disk.config_sizes import Sizes
from model.checkpoints.disk.families import rules_of
from model.checkpoints.disk.headers import gguf_header, parameters
from model.errors import BadFile, OutOfMemory, TooLarge, WeightsTooLarge
from model.text.byte_count import size

LIMIT = "HEADLIGHT_MEMORY_LIMIT"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
_FLOAT = 4  # weights and record are float32
# Rough, of one core of a present-day computer: reading and hashing, a GGUF's metadata and values, products of a forward.
_BYTES_A_SECOND, _GGUF_SECONDS, _GGUF_A_SECOND, _FLOPS = 4e8, 2.0, 3e7, 2e10
# As `model.trace.logits` keeps them: whole up to this many, else so many numbers a row (values, 64-bit ids, log-sum-exp).
WHOLE_LOGITS, THIN_LOGITS_ROW = 2**24, 64 * 2 + 1


# Arrays [h, n, n] at once beyond the record: measured as 2.2 (XLM) to 8.6 (XLNet), T5 4.8, at n of 1,024 to 2,560.
_ARRAYS = 12


@dataclass(frozen=True)
class Loading:
    """`parameters`: None where no header tells. `weight_bytes`: of the weights in memory, in float32, at most. `seconds`:
    rough, of one core."""

    parameters: int | None
    weight_bytes: int
    seconds: float


@dataclass(frozen=True)
class Running:
    """`record_bytes`: what `Trace.nbytes()` will say, within 20 %. `peak_bytes`: with the arrays [h, n, n] of one layer,
    where the family computes such, what must be there while it runs. `seconds`: rough, of one core."""

    record_bytes: int
    seconds: float
    peak_bytes: int


def before_loading(path: Path) -> Loading:
    """From the headers of the weights of a folder or a .gguf file; from the size of a file without such a header, which
    may hold more than weights (what an optimizer kept), so that its parameters are not counted.

    Raises as `files.weights` does, or BadFile.
    """
    if path.suffix == ".gguf":
        try:
            count = gguf_header(path, tensors=True).parameters
        except (ValueError, OSError) as error:
            raise BadFile(path=path) from error
        return Loading(count, _FLOAT * count, _GGUF_SECONDS + count / _GGUF_A_SECOND)
    if path.is_file():  # to be converted: at most as many as the file has room for
        count = path.stat().st_size // (2 if path.suffix == ".bin" else 4)
        return Loading(None, _FLOAT * count, 3.0 + path.stat().st_size / _BYTES_A_SECOND)
    found = checkpoint_files.weights(path)
    size = sum(file.stat().st_size for file in found)
    if found[0].suffix == ".safetensors":
        count = sum(parameters(file) for file in found)
        return Loading(count, _FLOAT * count, 1.0 + size / _BYTES_A_SECOND)
    half = str(checkpoint_files.config(path).get("torch_dtype", "")).removeprefix("torch.") in ("float16", "bfloat16")
    return Loading(None, _FLOAT * (size // (2 if half else 4)), 1.0 + size / _BYTES_A_SECOND)


def before_run(config: Mapping[str, Any], n: int, m: int = 0) -> Running:
    """Of a library model's configuration (config.json, or `card["config"]`), n tokens and, in a decoder, m of a target.

    A sub-layer keeps q, context (h · d_k a query), k, v (h_kv · d_k a key), its input and output (d each) and lse (h); a
    stack keeps its L + 1 hidden states of d: O(L · n · d), never n². Besides, some families hold the scores, weights and
    biases of one layer while they run: `Running.peak_bytes`.
    """
    sizes = Sizes.of(config)
    second, rows, total = sizes.second, n, n
    numbers = _sublayer(sizes, n, n) * sizes.layers + _stream(sizes, n)
    if second is not None:
        rows, total = max(m, 1), n + max(m, 1)
        each = _sublayer(second, rows, rows) + (_sublayer(second, rows, n) if sizes.crosses else 0)
        numbers += each * second.layers + _stream(second, rows) + n * sizes.d
    if _predicts(config):
        numbers += rows * sizes.vocabulary if rows * sizes.vocabulary <= WHOLE_LOGITS else rows * THIN_LOGITS_ROW
    flops = sizes.calls * (24 * total * sizes.d**2 + 4 * total**2 * sizes.d) + 2 * rows * sizes.d * sizes.vocabulary
    peak = numbers + _square(config, sizes.heads, max(n, m))
    return Running(_FLOAT * numbers, flops / _FLOPS, _FLOAT * peak)


def _stream(sizes: Sizes, rows: int) -> int:
    """Numbers of a stack's hidden states."""
    return (sizes.layers + 1) * rows * sizes.d


def _sublayer(sizes: Sizes, queries: int, keys: int) -> int:
    """Numbers that one attention sub-layer keeps."""
    heads, groups = max(1, sizes.heads), max(1, sizes.groups)
    return queries * (2 * heads * sizes.d_k + 2 * sizes.d + heads) + 2 * keys * groups * sizes.d_k


def _predicts(config: Mapping[str, Any]) -> bool:
    names = " ".join(map(str, config.get("architectures") or ()))
    return any(end in names for end in ("LM", "MTModel", "ForConditionalGeneration", "ForPreTraining"))


def _square(config: Mapping[str, Any], heads: int, n: int) -> int:
    """Numbers of the arrays [h, n, n] that one layer holds at once, where the family computes attention in them.

    Those that are watched while they multiply do, and those that look a bias of each head up for every pair of places.
    """
    watched = rules_of(str(config.get("model_type"))).route == "replay"
    biased = "relative_attention_num_buckets" in config
    return _ARRAYS * max(1, heads) * n * n if watched or biased else 0


def memory_limit() -> int:
    """Bytes that may be used: HEADLIGHT_MEMORY_LIMIT ("6GB", "500MiB", "1000000"), else 80 % of what is free now."""
    told = bytes_told(os.environ.get(LIMIT, ""))
    return int(0.8 * _available()) if told is None else told


def bytes_told(text: str) -> int | None:
    """ "6GB", "500MiB" or "1000000" as a number of bytes; None for anything else."""
    match = re.fullmatch(r"([0-9]{0,15}\.?[0-9]{1,15})([KMGT]?I?B?)", text.strip().upper().replace(" ", ""))
    return int(float(match[1]) * _UNITS[match[2]]) if match and match[2] in _UNITS else None


def total_memory() -> int:
    """Bytes of memory that this process may have: the computer's, or those of its control group where these are fewer."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2**33  # where nothing tells
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return min(whole, int(Path(place).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return whole


def _available() -> int:
    """Bytes that could be had now. Where nothing tells, nothing is refused."""
    try:  # Linux counts here what its file cache would give back, which sysconf does not
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2**62


def ran_out(error: BaseException) -> bool:
    """Whether this is how torch or Python says that no memory is left."""
    told = str(error).lower()
    words = ("defaultcpuallocator", "not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in told for word in words))


@contextmanager
def within_memory() -> Iterator[None]:
    """Inside the block memory that runs out is OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise OutOfMemory() from error


def check_record(needed: int) -> None:
    """Raises TooLarge where a record of `needed` bytes is more than may be used."""
    if needed > memory_limit():
        raise TooLarge(got=size(needed), allowed=size(memory_limit()))


def refuse_weights(needed: int) -> None:
    """Raises WeightsTooLarge with what helps."""
    raise WeightsTooLarge(got=size(needed), allowed=size(memory_limit()))
