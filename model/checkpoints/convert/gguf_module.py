"""The module of a GGUF file, each part of the file read once.

For most architectures the library goes through the whole vocabulary entry by entry, in Python, before it knows one size of
the model, and again before it reads one weight; nothing of that vocabulary but its length ends up in the module. So it is
given a copy of the file without the vocabulary, in which the same reading is done in milliseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from model.checkpoints.disk.headers import Gguf
from model.jobs.progress import tick

_VOCABULARY, _TOKENS = "tokenizer.", "tokenizer.ggml.tokens"
_COUNTS = 8  # bytes before the two numbers that say how many tensors and how many pairs follow
_BLOCK = 2**24
# What the library's table of metadata calls by a name that the configuration's class does not have: the class would keep its
# default, and a GPT-2 of 64 positions would be one of 1,024. -> the class's own name.
_OWN_NAMES = {"n_ctx": "n_positions", "feed_forward_length": "n_inner"}


def read(copy: Path, header: Gguf) -> tuple[nn.Module, list[str]]:
    """The library's module with the values of a file in float32, and the parameters that the file lacks.

    copy: the file without its vocabulary; header: that of the file itself. Raises what the library raises.
    """
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    told = load_gguf_checkpoint(copy)["config"]
    if _TOKENS in header.lists:  # as the library does for files that do not say it
        told.setdefault("vocab_size", header.lists[_TOKENS].length)
    if told["model_type"] not in CONFIG_MAPPING:
        raise ValueError(f"the installed transformers library does not know its architecture, {header.architecture}")
    kind = CONFIG_MAPPING[told["model_type"]]
    told |= {own: told[name] for name, own in _OWN_NAMES.items()
             if name in told and not hasattr(kind(), name) and hasattr(kind(), own)}  # fmt: skip
    config = kind.from_dict(told)
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    check_size(empty, header)
    tick("converting", 0.2)
    found = load_gguf_checkpoint(copy, return_tensors=True, model_to_load=_Names.of(empty), torch_dtype=torch.float32)
    tick("converting", 0.6)
    module, info = type(empty).from_pretrained(
        None, config=config, state_dict=found["tensors"], dtype=torch.float32, output_loading_info=True,
        ignore_mismatched_sizes=True,
    )  # fmt: skip
    check_shapes(info)
    return module, sorted(info["missing_keys"])


def check_size(empty: nn.Module, header: Gguf) -> None:
    """Raises ValueError where the header describes a model much larger than its tensors, before it is built."""
    numbers = sum(part.numel() for part in (*empty.parameters(), *empty.buffers()))
    if numbers > 4 * header.parameters + 10**7:
        raise ValueError(f"it describes a model of {numbers:,} numbers, and holds {header.parameters:,}")


def check_shapes(info: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the first, where tensors are not of the sizes that the file's header tells."""
    for name, got, expected in sorted(info["mismatched_keys"]):
        got, expected = ("×".join(map(str, shape)) for shape in (got, expected))
        raise ValueError(f"its tensor {name} is {got}, and its header says {expected}")


def unknown(module: nn.Module, header: Gguf) -> list[str]:
    """The tensors of a file that the module has no place for, by their names there."""
    from transformers.modeling_gguf_pytorch_utils import TensorProcessor, get_gguf_hf_weights_map

    named = get_gguf_hf_weights_map(_Names.of(module), TensorProcessor({}))
    known = {name.removesuffix(".weight").removesuffix(".bias") for name in named}
    aside = (
        "rope_freqs",
        "rope_factors_long",
        "rope_factors_short",
        "output",
    )  # computed anew, or tied to the tokens' table
    names = (name.removesuffix(".weight").removesuffix(".bias") for name in header.shapes)
    return sorted({name for name in names if name not in known and name not in aside})


def without_vocabulary(path: Path, header: Gguf, copy: Path) -> Path:
    """Write `path` without the lists of its tokenizer to `copy`; all else stays as it is, byte for byte (a module in
    float32 takes two to eight times as much room on the disk).

    Raises OSError where the disk is full, ValueError where the header says something impossible.
    """
    cuts = sorted((found.start, found.end) for name, found in header.lists.items() if name.startswith(_VOCABULARY))
    step = header.alignment
    if not isinstance(step, int) or step < 1 or step & (step - 1):
        raise ValueError("general.alignment is no power of two")
    with path.open("rb") as source, copy.open("wb") as target:
        target.write(source.read(_COUNTS))
        tensors, pairs = struct.unpack("<QQ", source.read(16))
        target.write(struct.pack("<QQ", tensors, pairs - len(cuts)))
        for start, end in cuts:
            target.write(source.read(start - source.tell()))
            source.seek(end)
        target.write(source.read(header.end - source.tell()))
        target.write(bytes(-target.tell() % step))
        source.seek(header.end + -header.end % step)
        _pour(source, target, path.stat().st_size)
    return copy


def _pour(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while block := source.read(_BLOCK):
        target.write(block)
        tick("converting", 0.05 + 0.1 * source.tell() / size)


@dataclass(frozen=True)
class _Names:
    """What the library asks a module for in order to name the file's tensors, so that it asks twice.

    It builds its table of names anew for every module inside a module (397 of SmolLM2's). Names are found in the whole
    and, of a few families whose files were written from it, in the base model; deeper down there are none.
    """

    config: Any
    state_dict: Callable[[], dict[str, Tensor]]
    children: tuple[tuple[str, _Names], ...] = ()

    @classmethod
    def of(cls, module: nn.Module) -> _Names:
        base = cls(module.config, module.base_model.state_dict)
        return cls(module.config, module.state_dict, ((module.base_model_prefix, base),))

    def named_children(self) -> tuple[tuple[str, _Names], ...]:
        return self.children
