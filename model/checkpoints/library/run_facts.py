"""What a trace of a library model says beside its numbers: task, gaps, unknown tokens, what was written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model.checkpoints.disk.tasks import has_head
from model.checkpoints.record.position_tables import adds_positions
from model.checkpoints.task_heads import outputs as head_outputs
from model.checkpoints.task_heads.answers import answer_facts
from model.checkpoints.tokens.encode import Encoded, ids_of, side
from model.checkpoints.tokens.token_texts import unknown
from model.jobs.device import facts_of
from model.trace import logits
from model.trace.tensors import Store
from model.trace.trace_key import Side, TraceKey

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel

# Facts of a head that the page Output shows; the logits of tokens are shown too.
_SHOWN = {"classes", "labels", "replaced", "answers", "sentence_pairs", "choices"}


def sides_of(
    tokenizer: Any, encoded: Encoded, inputs: Mapping[str, Tensor], stacks: Collection[str]
) -> dict[str, Side]:
    """The tokens of each stack, as they ran."""
    alone = "decoder_input_ids" not in inputs
    own = "decoder" if alone and stacks == {"decoder"} else "encoder"
    sides = {own: side(tokenizer, ids_of(inputs, "input_ids"), encoded.text, encoded.segments)}
    if "decoder_input_ids" in inputs:
        sides["decoder"] = side(tokenizer, ids_of(inputs, "decoder_input_ids"))
    return sides


def run_facts(
    model: HuggingFaceModel,
    key: TraceKey,
    sides: Mapping[str, Side],
    store: Store,
    facts: Mapping[str, object],
    encoded: Encoded,
) -> dict[str, object]:
    """`Trace.facts` of a run of `model` on what it read, those that are known of how it was run (`facts`) among them."""
    facts = {"family": model.family, "task": model.task, "norm": "unknown", **facts}
    facts |= facts_of(model.module) | {"adds_positions": adds_positions(model.module)}
    if model.opening is not None:
        facts["opening"] = model.opening.facts()
    if model.card.get("adapter"):
        facts["adapter"] = dict(model.card["adapter"])
    if model.card.get("unpacked"):
        facts["unpacked"] = model.card["unpacked"]
    if model.card.get("not_finite"):
        facts["not_finite"] = list(model.card["not_finite"])
    if model.card.get("fresh"):
        facts["fresh"] = list(model.card["fresh"])
    if (gap := model.tokenizer.mask_token_id) is not None and "encoder" in sides:
        facts["gaps"] = [i for i, number in enumerate(sides["encoder"].ids) if number == gap]
    typed = list(sides.values())[: 2 if key.target else 1]
    if lacking := sum(unknown(model.tokenizer, each.ids) for each in typed):
        facts["unknown"] = {"token": str(model.tokenizer.unk_token), "count": lacking}
    after = facts.pop("after", None)
    if "decoder" in sides and model.task in ("causal", "seq2seq") and logits.has_logits(store):
        if after is None:
            ((after, _),) = logits.most_probable(store, -1, 1)
        facts["written"] = [*sides["decoder"].texts[1:], _text(model.vocabulary, after)]

    facts |= head_outputs.facts(model.task, model.module.config, model.labels, store)
    if (answers := answer_facts(model.tokenizer, encoded, next(iter(sides.values())), store)) is not None:
        facts["answers"] = answers
    named = next(iter(getattr(model.module.config, "architectures", None) or ()), "")
    if named and has_head(named) and not (_SHOWN & facts.keys() or logits.has_logits(store)):
        facts["head"] = named
    if model.task == "embedding" or "head" in facts:
        facts["pooling"] = model.pooling
    return facts


def as_labelled(inputs: Mapping[str, Tensor], sides: Mapping[str, Side]) -> dict[str, Tensor]:
    """The inputs with the ids that the pictures are labelled by: were they not those that ran, the logits would differ."""
    ids = (torch.tensor([list(each.ids)]) for each in sides.values())
    return dict(inputs) | dict(zip(("input_ids", "decoder_input_ids"), ids, strict=False))


def _text(vocabulary: Sequence[str], number: int) -> str:
    return vocabulary[number] if number < len(vocabulary) else f"#{number}"
