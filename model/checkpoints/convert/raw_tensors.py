"""Tensors read from PyTorch's own files and from CTranslate2's, checked against a library class and written as safetensors."""

from __future__ import annotations

import argparse
import struct
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from model.checkpoints.disk.files import stored
from model.errors import BadFile, NotConverted, UnsafeWeights, WrongShape
from model.jobs.progress import tick

# The number of each element type in a CTranslate2 file (CTranslate2, python/ctranslate2/specs/model_spec.py).
_ELEMENTS = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
_VERSION = 6


def torch_weights(path: Path) -> dict[str, Any]:
    """A file of torch.save, read by the unpickler that makes tensors and plain values only.

    argparse.Namespace, a plain holder of values in which fairseq keeps its settings, is the one class let in beside them.
    Raises UnsafeWeights where the file asks for another, BadFile where it cannot be read.
    """
    if not stored(path):
        raise BadFile(path=path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        asked = asked_for(error)
        if asked:
            raise UnsafeWeights(path=path, reason=asked) from error
        raise BadFile(path=path) from error
    if not isinstance(found, dict):
        raise BadFile(path=path)
    return found


def asked_for(error: Exception) -> str:
    """The class or function that a file wanted besides tensors, or "" where it failed for another reason.

    The unpickler's error is told by its name, because its module is not imported in this project.
    """
    if type(error).__name__ != "UnpicklingError" or "GLOBAL" not in str(error):
        return ""
    return str(error).partition("GLOBAL ")[2].split(" ")[0]


def ctranslate2_weights(path: Path) -> tuple[str, dict[str, Tensor]]:
    """A CTranslate2 model.bin -> (its specification's name, name -> tensor); aliases are resolved.

    u32 version, text specification, u32 revision, u32 count, then per variable: text name, u8 rank, u32 each size, u8
    element type, u32 bytes, data; u32 count of aliases, then text alias, text name. A text is u16 length and ends in 0.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        version = _number(file, "I")
        if version != _VERSION:
            raise NotConverted(path=path, reason=f"its format has version {version}, and version {_VERSION} is read")
        name = _text(file)
        _number(file, "I")
        found: dict[str, Tensor] = {}
        for _ in range(_number(file, "I")):
            key, tensor = _variable(file, size)
            found[key] = tensor
            tick("converting", 0.6 * file.tell() / size)
        for _ in range(_number(file, "I")):
            alias = _text(file)
            found[alias] = found[_text(file)]
    return name, found


def _variable(file: BinaryIO, size: int) -> tuple[str, Tensor]:
    key = _text(file)
    shape = [_number(file, "I") for _ in range(_number(file, "B"))]
    element, length = _ELEMENTS[_number(file, "B")], _number(file, "I")
    if length != prod(shape) * element.itemsize or length > size:
        raise ValueError(f"{key} has {length} bytes")
    return key, torch.frombuffer(bytearray(_exactly(file, length)), dtype=element).reshape(shape)


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError("truncated")
    return data


def _number(file: BinaryIO, code: str) -> int:
    return struct.unpack(f"<{code}", _exactly(file, struct.calcsize(code)))[0]


def _text(file: BinaryIO) -> str:
    return _exactly(file, _number(file, "H"))[:-1].decode("utf-8")


def save_model(config: Any, kind: type, state: dict[str, Tensor], source: Path, folder: Path) -> None:
    """Write config.json and model.safetensors after checking every name and shape against `kind(config)`.

    Raises NotConverted naming what is missing or left over, WrongShape naming the tensor.
    """
    with torch.device("meta"):
        module = kind(config)
    expected = module.state_dict()
    tied = set(getattr(module, "all_tied_weights_keys", None) or ())
    missing, extra = sorted(expected.keys() - state.keys() - tied), sorted(state.keys() - expected.keys())
    if missing or extra:
        what = f"{missing[0]} is missing" if missing else f"{extra[0]} is left over"
        raise NotConverted(path=source, reason=f"it is no {kind.__name__}: {what}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            got, allowed = ("×".join(map(str, shape)) for shape in (tensor.shape, expected[name].shape))
            raise WrongShape(path=source, tensor=name, got=got, allowed=allowed)
    config.architectures = [kind.__name__]
    config.save_pretrained(folder)
    save(state, folder)


def save(state: dict[str, Tensor], folder: Path) -> None:
    """model.safetensors with each tensor on its own memory and in its own precision."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous().clone() for name, tensor in state.items()}
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
