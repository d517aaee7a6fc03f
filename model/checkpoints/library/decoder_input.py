"""The decoder's input ids in an encoder–decoder: a forced target, the model's own output, or what the library feeds it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from model.checkpoints.disk.families import TOWERS
from model.checkpoints.disk.generation_config import end_tokens
from model.checkpoints.edited.library import running
from model.checkpoints.library_logging import quiet
from model.checkpoints.tokens import languages
from model.checkpoints.tokens.encode import tokenized
from model.checkpoints.tokens.languages import reading_as
from model.errors import NotInThisModel, TextTooLong
from model.jobs.device import host
from model.jobs.progress import tick

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel


@runtime_checkable
class EncoderDecoder(Protocol):
    """The interface that `decoder_input` needs of an opened encoder–decoder."""

    @property
    def module(self) -> nn.Module: ...

    @property
    def tokenizer(self) -> Any: ...

    @property
    def task(self) -> str: ...

    def check_length(self, length: int) -> None: ...

    def generate(self, ids: Tensor, new_tokens: int, language: str | None = None) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class DecoderInput:
    """ids [1, m], beginning with the start token; `after` is the token after the last of them where it is known.

    how: "forced", "written" (by the model), "input" (the input's own tokens, shifted by one) or "start" (that token alone).
    """

    ids: Tensor
    after: int | None
    how: str


class _Fed(Exception):
    """The decoder was reached: nothing after that is needed."""


def takes(module: nn.Module, name: str) -> bool:
    return name in inspect.signature(module.forward).parameters


def decodes(module: nn.Module) -> bool:
    """Whether the model has a decoder beside its encoder: T5's encoder alone has the configuration of the whole."""
    return bool(module.config.is_encoder_decoder) and takes(module, "decoder_input_ids")


def decoder_input(
    model: EncoderDecoder, ids: Tensor, forced: str | None, limit: int, language: str | None = None
) -> DecoderInput:
    """The decoder's input for the source `ids` [1, n]. Raises NotInThisModel, or TextTooLong for a forced output.

    The end token is written by the row before it and never read: a row of its own would predict what nobody asked for.
    """
    module = model.module
    if forced is None and not hasattr(module, "generate"):
        return fed(module, ids)
    if forced is None:
        written = model.generate(ids, limit, language=language)
        last = int(written[0, -1])
        ended = written.shape[1] > 1 and last in end_tokens(module)
        return DecoderInput(written[:, :-1] if ended else written, last if ended else None, "written")
    if model.task in ("classification", "question_answering"):  # their rows, or their end token, are looked for there
        raise NotInThisModel(what="An output of its own", does="reads its input once more in its decoder")
    with reading_as(model.tokenizer, target=language):
        labels = tokenized(model.tokenizer, text_target=forced).input_ids
    model.check_length(labels.shape[1])
    if hasattr(module, "prepare_decoder_input_ids_from_labels"):
        return DecoderInput(module.prepare_decoder_input_ids_from_labels(labels), int(labels[0, -1]), "forced")
    return DecoderInput(torch.cat([_start(module, labels), labels[:, :-1]], dim=1), int(labels[0, -1]), "forced")


def fed(module: nn.Module, ids: Tensor) -> DecoderInput:
    """What the library itself gives the decoder where it is told nothing, found by asking it; else the start token."""
    found: list[Any] = []

    def reached(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        found.append(kwargs.get("input_ids", args[0] if args else None))
        raise _Fed

    handle = module.get_decoder().register_forward_pre_hook(reached, with_kwargs=True)
    try:
        module(input_ids=ids, **_no_encoder(module, ids))
    except (_Fed, ValueError):  # some refuse at once what lacks a decoder's input
        pass
    finally:
        handle.remove()
    if found and isinstance(found[0], Tensor):
        return DecoderInput(host(found[0]), None, "input")
    return DecoderInput(_start(module, ids), None, "start")


def _no_encoder(module: nn.Module, ids: Tensor) -> dict[str, object]:
    """An encoder's output that nothing reads, so that the encoder need not run."""
    from transformers.modeling_outputs import BaseModelOutput

    if not takes(module, "encoder_outputs"):
        return {}
    return {"encoder_outputs": BaseModelOutput(last_hidden_state=torch.zeros(1, ids.shape[1], 1))}


def _start(module: nn.Module, ids: Tensor) -> Tensor:
    config = module.config
    numbers = (getattr(config, name, None) for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id"))
    return torch.full_like(ids[:, :1], next((number for number in numbers if number is not None), 0))


def entrances(module: nn.Module) -> list[nn.Module]:
    """The parts of a model that are run by themselves as well: its stacks, and the towers of a dual encoder."""
    found = [getattr(module, tower) for tower in TOWERS.values() if hasattr(module, tower)]
    if decodes(module):
        found += [module.get_encoder(), module.get_decoder()]
    return found


def written(model: HuggingFaceModel, ids: Tensor, new_tokens: int, language: str | None, **how: Any) -> Tensor:
    """See `HuggingFaceModel.generate`."""
    from transformers import StoppingCriteriaList

    def progress(written: Tensor, _scores: object) -> Tensor:
        done = written.shape[1] - start
        tick("writing", min(1.0, done / new_tokens))
        return torch.zeros(written.shape[0], dtype=torch.bool, device=written.device)

    start = 1 if model.decodes else ids.shape[1]
    room = model.max_length - start
    if room < 1:
        raise TextTooLong(got=start, allowed=model.max_length - 1)
    if not hasattr(model.module, "generate"):
        raise NotInThisModel(what="Writing", does="has no head that writes")
    opening = languages.opening(model.tokenizer, language)
    # An edit names rows and keys by their place in the whole text.
    plainly = {"use_cache": False} if running() else {}
    with quiet():
        # The ids stay with the processor, and so does what is drawn: the library moves what each step reads.
        return model.module.generate(
            input_ids=ids, max_new_tokens=max(1, min(new_tokens, room)), stopping_criteria=StoppingCriteriaList([progress]),
            pad_token_id=model._pad(), tokenizer=model.tokenizer,  # where its settings stop at a text
            **({"attention_mask": torch.ones_like(ids), "do_sample": False, "num_beams": 1} | opening | how | plainly),
        )  # fmt: skip
