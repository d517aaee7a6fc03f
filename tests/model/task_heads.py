"""Small random models of many families with the head of a task, and what the library itself computes with them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import open_model  # noqa: E402
from model.checkpoints.disk.families import FAMILIES, entry  # noqa: E402
from model.checkpoints.library.library_model import HuggingFaceModel  # noqa: E402
from tests.app.checkpoints import MADE, write  # noqa: E402

ASKED, CONTEXT = "Where is the cat?", "The quick brown fox jumps. The lazy dog likes cats."
CHOICES = ("The cat sat on the mat.", "A dog", "The animal is too tired, because of the street")


def headed(folder: Path, family: str, class_name: str, **config: object) -> HuggingFaceModel:
    """A small random model of a family with a task's head, beside a tokenizer; sharp enough to decide something."""
    like = next((name for name in MADE if MADE[name][0] == family), "bert")
    write(folder, like)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    known = entry(family) if family != "bert" else next(known for known in FAMILIES if known.model_type == "bert")
    ids = {"pad_token_id": tokenizer.pad_token_id} if tokenizer.pad_token_id is not None else {}
    ids |= {"eos_token_id": tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else {}
    told = getattr(transformers, known.config)(**known.small | {"vocab_size": len(tokenizer)} | ids | config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        module = getattr(transformers, class_name)(told).eval()
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                of_the_head = any(part in name for part in ("qa_outputs", "classifier", "cls.", "score", "_proj"))
                parameter.mul_(1 if family == "t5" else 12 if of_the_head else 3) if parameter.dim() > 1 else None
    module.save_pretrained(folder)
    return open_model(folder)


def own(model: HuggingFaceModel, folder: Path, **given: torch.Tensor):
    """The library's own output in eager mode, by a model that it opened itself."""
    kind = type(model.module)
    module = (
        kind.from_pretrained(folder, attn_implementation="eager")
        if kind._supports_sdpa
        else kind.from_pretrained(folder)
    )
    with torch.no_grad():
        return module.eval()(**given)


def read(model: HuggingFaceModel, *texts: str) -> dict[str, torch.Tensor]:
    found = model.tokenizer(*texts, return_tensors="pt")
    return {name: found[name] for name in ("input_ids", "token_type_ids") if name in model.tokenizer.model_input_names}


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(x - max(row)) for x in row]
    return [power / sum(powers) for power in powers]
