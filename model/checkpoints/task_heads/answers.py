"""The answers that an extractive head finds in a text, in facts: the likeliest spans as they stand there."""

from __future__ import annotations

from typing import Any

from model.checkpoints.task_heads import spans
from model.checkpoints.tokens.encode import Encoded
from model.trace.tensors import Store
from model.trace.trace_key import Side


def answer_facts(tokenizer: Any, encoded: Encoded, side: Side, store: Store) -> dict[str, object] | None:
    """`spans`, best first: {start, end, probability, text}; None of a run without a start and an end.

    pair: whether they are looked for in the second text alone. longest: how many tokens one may have. none: the probability
    that there is no answer, where the head gives one: of the span of the [CLS] token alone, which SQuAD 2.0 puts it on, or
    of a classifier of its own. beam: whether the end depends on the start, and only a few of both are kept.
    """
    beam = "start_top_log_probs" in store
    if not beam and "start_logits" not in store:
        return None
    pair = any(side.segments)
    # Words have numbers, special tokens have none; an unknown word is one.
    allowed = [word >= 0 and (not pair or side.segments[i] == 1) for i, word in enumerate(side.words)]
    if beam:
        found = spans.beam_spans({name: store[name] for name in spans.BEAM}, allowed)
        none = float(store["cls_logits"].double().sigmoid())
    else:
        logits = store["start_logits"], store["end_logits"]
        found, none = spans.best_spans(*logits, allowed), None
        if tokenizer.cls_token_id in side.ids:
            first, last = spans.probabilities(*logits)
            cls = side.ids.index(tokenizer.cls_token_id)
            none = float(first[cls] * last[cls])
    told = [
        {"start": span.start, "end": span.end, "probability": span.probability, "text": _text(tokenizer, encoded, side, span)}
        for span in found
    ]  # fmt: skip
    return {"spans": told, "pair": pair, "longest": spans.LONGEST, "none": none, "beam": beam}


def _text(tokenizer: Any, encoded: Encoded, side: Side, span: spans.Span) -> str:
    """The span as it was typed; of a tokenizer that does not tell where its tokens stand, as it writes it."""
    if len(encoded.places) != len(side.ids):
        return tokenizer.decode(list(side.ids[span.start : span.end + 1])).strip()
    text = encoded.pair if encoded.segments and encoded.segments[span.start] else encoded.text
    return text[encoded.places[span.start][0] : encoded.places[span.end][1]].strip()
