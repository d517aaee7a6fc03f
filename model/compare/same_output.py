"""The output of one encoder–decoder as a text that another is made to read: only then are both about the same tokens."""

from __future__ import annotations

from typing import Any

from model.errors import HeadlightError
from model.text.tokenizer import pieces_text
from model.trace.trace import Trace


def written_for(trace: Trace, model: Any) -> str | None:
    """What the decoder of `trace` read, as an output to force on `model`, whose decoder then reads the same tokens.

    None where there is no such text: one of the two has no decoder beside its encoder, their vocabularies differ, nothing
    was written, or the text would be cut otherwise.
    """
    if "encoder" not in trace.sides or "decoder" not in trace.sides or not getattr(model, "decodes", False):
        return None
    side = trace.side("decoder")
    if len(side.ids) < 2 or not trace.vocabulary or trace.vocabulary != _vocabulary(model):
        return None
    try:
        return _own(trace, model) if getattr(model, "target", None) is not None else _library(trace, model)
    except HeadlightError:  # a token that nobody could type, or more of them than the other reads
        return None


def _vocabulary(model: Any) -> tuple[str, ...]:
    target = getattr(model, "target", None)
    return tuple(model.vocabulary) if target is None else target.texts


def _own(trace: Trace, model: Any) -> str | None:
    side = trace.side("decoder")
    text = pieces_text(side.tokens[1:], model.target.kind)
    read = model.target.read(text, side="target").ids
    return text if read == side.ids[1:] and len(side.ids) <= model.max_length else None


def _library(trace: Trace, model: Any) -> str | None:
    import torch

    from model.checkpoints.library.decoder_input import decoder_input

    ids = list(trace.side("decoder").ids)
    if trace.facts.get("decoder_reads") in ("input", "start"):  # the library feeds both what it feeds them
        return None
    text = model.tokenizer.decode(ids[1:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    if not text.strip():
        return None
    source = torch.tensor([trace.side("encoder").ids])
    read = decoder_input(model, source, text, 0, language=trace.language or None).ids
    return text if read[0].tolist() == ids else None
