"""A GGUF file -> a folder of the library: its values dequantised to float32, so that they are exactly the file's."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.checkpoints.convert import gguf_module
from model.checkpoints.disk import cost
from model.checkpoints.disk.files import AS_SAVED, CONVERSION
from model.checkpoints.disk.headers import Gguf, gguf_header
from model.errors import BadFile, HeadlightError, NeedsPackage, NoMatchingWeights, NotConverted, OutOfMemory
from model.errors.library_text import library_text
from model.jobs.progress import tick

_LAYER = re.compile(r"blk\.([0-9]{1,6})\.")
_MORE_LAYERS = 64  # that may be shared, or lack
_MOST_ENTRIES = 2**21  # of a list in the metadata: the largest vocabularies have 260,000 tokens


def write(path: Path, folder: Path) -> None:
    """Convert `path`. Raises NeedsPackage without the gguf and accelerate packages, WeightsTooLarge, BadFile.

    The values are what the format's own code makes of them in float32; half precision would round them once more
    (of SmolLM2's, four-bit, it changes 42 %).
    """
    header = checked(path)
    tick("converting", 0.02)
    module, tokenizer, lacking = _opened(path, header, folder)
    if not {name for name, _ in module.named_parameters()} - set(lacking):
        raise NoMatchingWeights(path=path, model=type(module).__name__, got=next(iter(header.shapes), "none"))
    tick("converting", 0.9)
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    told = {"fresh": lacking, "unused": gguf_module.unknown(module, header)}
    told |= {AS_SAVED: True} if _own_splitting(tokenizer, folder) else {}
    (folder / CONVERSION).write_text(json.dumps(told), encoding="utf-8")


def checked(path: Path) -> Gguf:
    """The header of a whole file of sizes that can be. Raises NeedsPackage, BadFile, NotConverted or WeightsTooLarge."""
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing:
        raise NeedsPackage(path=path, package=missing[0], command=f"pip install {' '.join(missing)}")
    try:
        # A tenth of a second, and a torn file is told from one the library cannot read.
        header = gguf_header(path, tensors=True)
        _check_whole(path, header)
    except (ValueError, OSError, TypeError, ZeroDivisionError) as error:
        raise BadFile(path=path) from error
    for name, found in header.lists.items():  # each entry becomes an object of the library, a hundred times as large
        if found.length > _MOST_ENTRIES:
            reason = f"its {name} has {found.length:,} entries, and at most {_MOST_ENTRIES:,} are read"
            raise NotConverted(path=path, reason=reason)
    layers = 1 + max((int(name[1]) for name in map(_LAYER.match, header.shapes) if name), default=-1)
    told = header.values.get(f"{header.architecture}.block_count", 0)
    if isinstance(told, int) and told > 2 * layers + _MORE_LAYERS:
        raise NotConverted(path=path, reason=f"it says block_count {told:,}, and holds {layers} layers")
    if 4 * header.parameters > cost.memory_limit():
        cost.refuse_weights(4 * header.parameters)
    return header


def _check_whole(path: Path, header: Gguf) -> None:
    """Raises ValueError where the data of a tensor would lie beyond the end of the file."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    start, size = header.end + -header.end % header.alignment, path.stat().st_size
    for name, (kind, offset) in header.places.items():
        numbers, length = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        if start + offset + prod(header.shapes[name]) // numbers * length > size:
            raise ValueError(f"{name} is truncated")


def _opened(path: Path, header: Gguf, folder: Path) -> tuple[nn.Module, Any, list[str]]:
    """The module, the tokenizer, and the parameters that the file lacks, which are drawn at random, always the same ones.

    folder: for what is needed meanwhile. Raises NotConverted, OutOfMemory.
    """
    from transformers.integrations.gguf import is_gguf_arch_supported

    quick = is_gguf_arch_supported(header.architecture)
    copy = None if quick else gguf_module.without_vocabulary(path, header, folder / "tensors.gguf")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module, lacking = gguf_module.read(copy, header) if copy else _quick(path, header)
        if copy:
            copy.unlink()
        tick("converting", 0.7)
        tokenizer = _tokenizer(path, module.config)
    except HeadlightError:
        raise
    except Exception as error:  # the library reads the file with half a dozen kinds of error
        if cost.ran_out(error):
            raise OutOfMemory() from error
        raise NotConverted(path=path, reason=library_text(error)) from error
    return module, tokenizer, lacking


def _quick(path: Path, header: Gguf) -> tuple[nn.Module, list[str]]:
    """The module and what the file lacks, of the few architectures whose reader in the library skips the vocabulary."""
    from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig

    config = AutoConfig.from_pretrained(**_where(path), trust_remote_code=False)
    with torch.device("meta"):
        gguf_module.check_size(AutoModelForCausalLM.from_config(config, trust_remote_code=False), header)
    tick("converting", 0.2)
    # Told outright: left alone the library may keep the weights packed and put kernels of its own in attention's place.
    module, info = AutoModelForCausalLM.from_pretrained(
        **_where(path), config=config, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False,
        quantization_config=GgufConfig(dequantize=True), output_loading_info=True, ignore_mismatched_sizes=True,
    )  # fmt: skip
    gguf_module.check_shapes(info)
    return module, sorted(info["missing_keys"])


def _tokenizer(path: Path, config: Any) -> Any:
    """As AutoTokenizer makes it, which would parse the file once more for the configuration that is known already."""
    from transformers import TOKENIZER_MAPPING, AutoTokenizer, TokenizersBackend

    kind = TOKENIZER_MAPPING.get(type(config), None) or TokenizersBackend
    # A file beside this one may name another class.
    if (path.parent / "tokenizer_config.json").is_file() or not issubclass(kind, TokenizersBackend):
        return AutoTokenizer.from_pretrained(**_where(path), config=config, trust_remote_code=False)
    return kind.from_pretrained(**_where(path))


def _own_splitting(tokenizer: Any, folder: Path) -> bool:
    """Whether the saved tokenizer would split texts otherwise when its class opens it: that may build itself anew, of the kind
    of its family, where the file has another kind (a Gemma with a byte-level vocabulary)."""
    from transformers import AutoTokenizer

    again = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer.is_fast and _splitting(again) != _splitting(tokenizer)


def _splitting(tokenizer: Any) -> dict[str, Any]:
    """What a fast tokenizer does to a text before and after its vocabulary is asked."""
    whole = json.loads(tokenizer.backend_tokenizer.to_str()) if tokenizer.is_fast else {}
    return {name: whole.get(name) for name in ("normalizer", "pre_tokenizer", "post_processor")}


def _where(path: Path) -> dict[str, Any]:
    return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
