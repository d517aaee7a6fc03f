"""Opening a checkpoint folder of the transformers library: local files, safetensors and library classes only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from model.checkpoints.families import FAMILIES
from model.checkpoints.hugging_face import HuggingFaceModel
from model.checkpoints.recording import use_hook
from model.errors import DamagedCheckpoint, UnsupportedFamily


def _refuse(folder: Path, family: str, reason: str) -> None:
    allowed = ", ".join(known.model_type for known in FAMILIES if known.reads == "text")
    raise UnsupportedFamily(path=folder, family=family, reason=reason, allowed=allowed)


def _refuse_unread(folder: Path, family: str) -> None:
    """Pictures and sound are recorded by `record`, but there is no reader for them here yet."""
    for known in FAMILIES:
        if known.model_type == family and known.reads != "text":
            _refuse(folder, family, f"which reads {known.reads}, and this version reads text")


def load(folder: Path) -> HuggingFaceModel:
    """Open a checkpoint folder of the library. Raises DamagedCheckpoint or UnsupportedFamily in one sentence."""
    import transformers
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _refuse_unread(folder, config.model_type)
        names = getattr(config, "architectures", None) or []
        known = [getattr(transformers, name) for name in names if hasattr(transformers, name)]
        kind = known[0] if known else transformers.AutoModel
        module = kind.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except UnsupportedFamily:
        raise
    except SafetensorError as error:
        raise DamagedCheckpoint(path=folder, reason="a weights file is truncated or not what its name says") from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise DamagedCheckpoint(path=folder, reason=reason) from error
    if not getattr(module, "_can_set_attn_implementation", lambda: True)():
        _refuse(folder, config.model_type, "whose attention does not go through the library's registry")
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return HuggingFaceModel(
        folder.name, use_hook(module), tokenizer, config.model_type, digest.hexdigest()[:16],
        {"architectures": names, "config": json.loads(config.to_json_string())},
    )  # fmt: skip
