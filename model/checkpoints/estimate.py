"""What opening a model and recording a run will take, said before either is begun; nothing here imports torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoints import files
from model.checkpoints.headers import gguf_header, parameters
from model.errors import BadFile, TooLarge, WeightsTooLarge

LIMIT = "HEADLIGHT_MEMORY_LIMIT"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
_FLOAT = 4  # weights and record are float32
# Rough, of one core of a present-day computer: reading and hashing, a GGUF's metadata, products of a forward.
_BYTES_A_SECOND, _GGUF_SECONDS, _GGUF_A_SECOND, _FLOPS = 4e8, 18.0, 3e7, 2e10
# As `model.logits` keeps them: whole up to this many, else so many numbers a row (values, 64-bit ids, log-sum-exp).
WHOLE_LOGITS, THIN_LOGITS_ROW = 2**24, 64 * 2 + 1


@dataclass(frozen=True)
class Loading:
    """`weight_bytes`: of the weights in memory, in float32. `seconds`: rough, of one core."""

    parameters: int
    weight_bytes: int
    seconds: float


@dataclass(frozen=True)
class Running:
    """`record_bytes`: what `Trace.nbytes()` will say, within 20 %. `seconds`: rough, of one core."""

    record_bytes: int
    seconds: float


def before_loading(path: Path) -> Loading:
    """From the headers of the weights of a folder or a .gguf file, or from the size of another file.

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
        return Loading(count, _FLOAT * count, 3.0 + path.stat().st_size / _BYTES_A_SECOND)
    found = files.weights(path)
    size = sum(file.stat().st_size for file in found)
    if found[0].suffix == ".safetensors":
        count = sum(parameters(file) for file in found)
    else:
        half = str(files.config(path).get("torch_dtype", "")).removeprefix("torch.") in ("float16", "bfloat16")
        count = size // (2 if half else 4)
    return Loading(count, _FLOAT * count, 1.0 + size / _BYTES_A_SECOND)


def before_run(config: Mapping[str, Any], n: int, m: int = 0) -> Running:
    """Of a library model's configuration (config.json, or `card["config"]`), n tokens and, in a decoder, m of a target.

    A sub-layer keeps q, context (h · d_k a query), k, v (h_kv · d_k a key), its input and output (d each) and lse (h); a
    stack keeps its L + 1 hidden states of d: O(L · n · d), never n².
    """
    facts = _Facts.of(config)
    stream = lambda layers, rows: (layers + 1) * rows * facts.d  # noqa: E731
    numbers, rows = facts.sublayer(n, n) * facts.layers + stream(facts.layers, n), n
    if facts.decoder_layers:
        rows = max(m, 1)
        each = facts.sublayer(rows, rows, True) + facts.sublayer(rows, n, True)
        numbers += each * facts.decoder_layers + stream(facts.decoder_layers, rows) + n * facts.d
    if facts.predicts:
        numbers += rows * facts.vocabulary if rows * facts.vocabulary <= WHOLE_LOGITS else rows * THIN_LOGITS_ROW
    layers = facts.layers + 2 * facts.decoder_layers
    total = n + (rows if facts.decoder_layers else 0)
    flops = layers * (24 * total * facts.d**2 + 4 * total**2 * facts.d) + 2 * rows * facts.d * facts.vocabulary
    return Running(_FLOAT * numbers, flops / _FLOPS)


@dataclass(frozen=True)
class _Facts:
    """Sizes under the several names that configurations give them."""

    layers: int
    decoder_layers: int
    d: int
    heads: int
    decoder_heads: int
    groups: int  # key/value heads
    d_k: int
    vocabulary: int
    predicts: bool

    @staticmethod
    def of(config: Mapping[str, Any]) -> _Facts:
        def first(*names: str, default: int = 0) -> int:
            return next((int(config[name]) for name in names if isinstance(config.get(name), int)), default)

        d = first("hidden_size", "d_model", "n_embd", "dim")
        both = bool(config.get("is_encoder_decoder"))
        heads = first("num_attention_heads", "encoder_attention_heads", "n_head", "n_heads", "num_heads", default=1)
        layers = first("encoder_layers", "num_hidden_layers", "num_layers", "n_layer", "n_layers")
        decoder = first("decoder_layers", "num_decoder_layers", default=layers) if both else 0
        names = " ".join(map(str, config.get("architectures") or ()))
        return _Facts(
            layers, decoder, d, heads, first("decoder_attention_heads", default=heads),
            first("num_key_value_heads", default=heads), first("head_dim", "d_kv", default=d // heads),
            first("vocab_size"), any(end in names for end in ("LM", "MTModel", "ForConditionalGeneration", "ForPreTraining")),
        )  # fmt: skip

    def sublayer(self, queries: int, keys: int, decoder: bool = False) -> int:
        """Numbers that one attention sub-layer keeps; in an encoder–decoder d = h · d_k on either side."""
        heads = self.decoder_heads if decoder else self.heads
        d_k = self.d_k if heads == self.heads else self.d // heads
        groups = heads if decoder else self.groups
        return queries * (2 * heads * d_k + 2 * self.d + heads) + 2 * keys * groups * d_k


def memory_limit() -> int:
    """Bytes that may be used: HEADLIGHT_MEMORY_LIMIT ("6GB", "500MiB", "1000000"), else 80 % of what is free now."""
    told = os.environ.get(LIMIT, "").strip().upper().replace(" ", "")
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)([KMGT]?I?B?)", told)
    if match and match[2] in _UNITS:
        return int(float(match[1]) * _UNITS[match[2]])
    return int(0.8 * _available())


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


def check_record(needed: int) -> None:
    """Raises TooLarge where a record of `needed` bytes is more than may be used."""
    if needed > memory_limit():
        raise TooLarge(got=_size(needed), allowed=_size(memory_limit()))


def refuse_weights(needed: int) -> None:
    """Raises WeightsTooLarge with what helps."""
    raise WeightsTooLarge(got=_size(needed), allowed=_size(memory_limit()))


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1000:.0f} kB"
