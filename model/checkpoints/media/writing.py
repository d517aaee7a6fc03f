"""What a model writes about a picture or a sound: greedily, or forced to; the library's own generation gives the beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.checkpoints.disk.max_length import longest
from model.checkpoints.library_logging import quiet
from model.checkpoints.tokens.encode import side, tokenized
from model.errors import NotInThisModel, TextTooLong
from model.jobs.progress import tick
from model.trace import logits
from model.trace.tensors import Store

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel

MOST = 40  # tokens that are written unasked


@dataclass(frozen=True)
class DecoderRead:
    """ids: what the decoder reads, the first `prompt` of them given by the library. after: the token after the last of them
    where it is known. generated: whether the model wrote them."""

    ids: list[int]
    prompt: int
    after: int | None
    generated: bool

    def facts(self, model: HuggingFaceModel, store: Store) -> dict[str, object]:
        """As a trace keeps it: `written` is the token after each row."""
        after = logits.most_probable(store, -1, 1)[0][0] if self.after is None else self.after
        written = [*side(model.tokenizer, self.ids).texts[1:], *side(model.tokenizer, [after]).texts]
        return {"generated": self.generated, "prompt": self.prompt, "written": written}


def room(model: HuggingFaceModel) -> int:
    """Tokens that the decoder's positions allow."""
    config = getattr(model.module.config, "decoder", None) or model.module.config
    return int(getattr(config, "max_target_positions", 0) or longest(config))


def decoder_read(model: HuggingFaceModel, given: Mapping[str, Tensor], target: str | None) -> DecoderRead:
    """What the decoder reads beside `given`: a target as the library shifts it, or what the model writes. Raises TextTooLong."""
    target = target if target is not None and target.strip() else None
    if target is None:
        prompt, written = greedily(model, given, MOST)
        return DecoderRead([*prompt, *written[:-1]], len(prompt), written[-1], True)
    prompt, _ = greedily(model, given, 1)
    labels = tokenized(model.tokenizer, text_target=target).input_ids[0].tolist()
    ids = [*prompt, *labels[:-1]]
    if len(ids) > room(model):
        raise TextTooLong(got=len(ids), allowed=room(model))
    return DecoderRead(ids, len(prompt), labels[-1], False)


def greedily(
    model: HuggingFaceModel, given: Mapping[str, Tensor], limit: int, beside: int = 1, **options: object
) -> tuple[list[int], list[int]]:
    """(what the decoder is given first, what the model then writes): the library's own generation, its prompt included.

    `generate` may give back the text alone; the whole sequence is seen where it asks whether to stop. beside: tokens of the
    prompt at most.
    """
    from transformers import StoppingCriteriaList

    if not hasattr(model.module, "generate"):
        raise NotInThisModel(what="Writing", does="has no head that writes")
    seen: list[list[int]] = []
    limit = max(1, min(limit, room(model) - beside))

    def progress(ids: Tensor, _scores: object, **_more: object) -> Tensor:
        seen.append(ids[0].tolist())
        tick("writing", min(1.0, len(seen) / limit))
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

    with quiet():
        model.module.generate(
            **given, max_new_tokens=limit, do_sample=False, num_beams=1,
            stopping_criteria=StoppingCriteriaList([progress]), **options,
        )  # fmt: skip
    start = len(seen[0]) - 1
    return seen[0][:start], seen[-1][start:]
