"""A GGUF file -> a folder of the library: its values dequantised to float32, so that they are exactly the file's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

from model.checkpoints.disk import cost
from model.checkpoints.disk.headers import gguf_header
from model.errors import BadFile, DamagedCheckpoint, HeadlightError, NeedsPackage, OutOfMemory
from model.jobs.progress import tick


def write(path: Path, folder: Path) -> None:
    """Convert `path`. Raises NeedsPackage without the gguf and accelerate packages, WeightsTooLarge, BadFile.

    The values are what the format's own code makes of them in float32; half precision would round them once more
    (of SmolLM2's, four-bit, it changes 42 %).
    The library parses the metadata once each for the configuration, the weights and the tokenizer, and that is most of
    the time (135 M parameters: 20–25 s on one core); the folder then opens in under a second.
    """
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing:
        raise NeedsPackage(path=path, package=missing[0], command=f"pip install {' '.join(missing)}")
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        # A tenth of a second, and a torn file is told from one the library cannot read.
        needed = 4 * gguf_header(path, tensors=True).parameters
    except (ValueError, OSError) as error:
        raise BadFile(path=path) from error
    if needed > cost.memory_limit():
        cost.refuse_weights(needed)
    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
    tick("converting", 0.02)
    try:
        config = AutoConfig.from_pretrained(**where, trust_remote_code=False)
        tick("converting", 0.25)
        # Told outright: left alone the library may keep the weights packed and put kernels of its own in attention's place.
        module = AutoModelForCausalLM.from_pretrained(
            **where, config=config, dtype=torch.float32, attn_implementation="sdpa", trust_remote_code=False,
            quantization_config=GgufConfig(dequantize=True),
        )  # fmt: skip
        tick("converting", 0.7)
        tokenizer = AutoTokenizer.from_pretrained(**where, config=config, trust_remote_code=False)
    except HeadlightError:
        raise
    except Exception as error:  # the library reads the file with half a dozen kinds of error
        if cost.ran_out(error):
            raise OutOfMemory() from error
        said = str(error).strip().splitlines()
        raise DamagedCheckpoint(path=path, reason=said[0].rstrip(".") if said else type(error).__name__) from error
    tick("converting", 0.9)
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
