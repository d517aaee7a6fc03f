"""What the page of the encoder–decoder says of masks: only what the recorded ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viz.base import tokens
from viz.ui.language import say
from viz.ui.shared import page_text

if TYPE_CHECKING:
    from model.measures.cross_alignment import AttentionRow
    from model.trace.trace import Trace


def row_sentence(trace: Trace, row: AttentionRow) -> str:
    """Whose row it is, how many keys it may look at, and whether the others are the future."""
    from model.attention import mask_effects

    label = tokens.query_labels(trace, row.site)[row.row]["text"]
    values = {"token": page_text.code(label), "allowed": int(row.allowed.sum()), "keys": len(row.allowed)}
    if row.site.kind == "cross":
        return say("encoder_decoder.look_cross", **values)
    past, future = row.allowed[: row.row + 1], row.allowed[row.row + 1 :]
    if row.site.stack != "decoder":
        said = [say("encoder_decoder.look_encoder", **values)]
        said += [say("encoder_decoder.look_ahead")] if bool(future.all()) else []
        return " ".join(said)
    hidden = bool(past.all()) and not bool(future.any()) and mask_effects.is_causal(trace.record(row.site))
    said = [say("encoder_decoder.look_self", **values)]
    said += [say("encoder_decoder.look_past")] if hidden else []
    return " ".join(said)


def decoder_is_causal(trace: Trace) -> bool:
    """Whether no decoder position attends to a later one, in any layer; False where none attends to its own text."""
    from model.attention import mask_effects

    own = [site for site in trace.sites if site.stack == "decoder" and site.kind == "self"]
    return bool(own) and all(mask_effects.is_causal(trace.record(site)) for site in own)


def has_both_stacks(trace: Trace) -> bool:
    """Whether self-attention was recorded of the encoder and of the decoder."""
    return {"encoder", "decoder"} <= {site.stack for site in trace.sites if site.kind == "self"}
