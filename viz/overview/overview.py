"""The first screen's picture: the sentence, the answer, and the whole model with what each part computed for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model.trace.site import Site
from viz.base import axes, numbers, tokens
from viz.base.cell_states import MASKED, NAN
from viz.base.payload import pack
from viz.overview.model_parts import Arrays, stacks

if TYPE_CHECKING:
    from model.trace.trace import Trace

# A sentence longer than this is no picture of ribbons; chips beyond it are counted, not drawn.
RIBBONS = 64


def written_rows(trace: Trace) -> int:
    """How many decoder rows are drawn by what they wrote: all, without the last where that ends a text that the model wrote.

    A special token before it (Whisper's language) has its row, and an end that is all that was written is drawn. Behind a
    text that was forced the end is the model's own word on it.
    """
    return _words_written(trace) if trace.facts.get("generated", True) else len(trace.written())


def _words_written(trace: Trace) -> int:
    """The same without the row that ends the text, whoever wrote it."""
    written = tokens.written_labels(trace)
    ends = len(written) > 1 and written[-1]["kind"] == "special"
    return len(written) - ends


def _left_out(trace: Trace, labels: Sequence[tokens.Label], first: slice = slice(0, 1)) -> list[dict[str, Any]]:
    """The labels of a row, the first marked where the pictures are without that token (model.attention.without_sink).

    first: the tokens that it stands for; a word of several keeps the others.
    """
    from model.attention.without_sink import RecordWithoutSink

    out = first == slice(0, 1) and any(isinstance(record, RecordWithoutSink) for record in trace.attention.values())
    return [label | {"left_out": True} if out and i == 0 else dict(label) for i, label in enumerate(labels)]


def drawable(trace: Trace) -> bool:
    """Whether the sentences are short enough for chips in a row with ribbons between them."""
    return max(len(side.tokens) for side in trace.sides.values()) <= RIBBONS


def _chips(labels: list[tokens.Label], around: int = 0) -> list[dict[str, Any]]:
    """Chips for a row; of a long side those around one token, with the place `at` of each, and how many are left out."""
    if len(labels) <= RIBBONS:
        return labels
    shown = axes.token_axis(labels, around, RIBBONS)
    left, right = shown.starts[0], shown.total - shown.stop
    before, after = ([{"text": f"+ {n:,}", "kind": "special", "at": None}] if n else [] for n in (left, right))
    return [*before, *(label | {"at": at} for at, label in zip(shown.starts, shown.labels, strict=True)), *after]


def _marked(trace: Trace, selection: dict[str, Any] | None) -> dict[str, list[int]]:
    """The selected tokens of each side, the query before the key."""
    found: dict[str, list[int]] = {side: [] for side in trace.sides}
    if selection is not None and "row" in selection:
        site = trace.record(selection["site"]).site
        found[site.query_side].append(int(selection["row"]))
        found[site.key_side].append(int(selection["column"]))
    return found


def _around(marked: list[int]) -> int:
    """The token that a side's chips lie around: the middle of the selected ones where both fit, else the query."""
    if not marked:
        return 0
    return sum(marked) // len(marked) if max(marked) - min(marked) < RIBBONS - 4 else marked[0]


def _step_shown(trace: Trace, side: str, selection: dict[str, Any] | None) -> int:
    """The position whose prediction is shown: the first gap, else the selected query, else the last word written."""
    if gaps := trace.facts.get("gaps"):
        return int(gaps[0])
    if selection is not None and str(selection["site"]).startswith(side):
        return int(selection["row"])
    return max(0, (_words_written(trace) or len(trace.tokens(side))) - 1)


def _next(trace: Trace, selection: dict[str, Any] | None, words: dict[str, str]) -> dict[str, Any] | None:
    """The likeliest tokens after (or at) the position shown, or what a head says of the whole text."""
    if (found := _of_the_whole(trace, words)) is not None:
        title, rows = found
        bars = [{"text": name, "kind": "word", "probability": p} for name, p in rows]
        if trace.facts.get("classes_how") == "scores":  # no probabilities: the numbers stand alone
            bars = [bar | {"probability": 0.0, "score": numbers.short(bar["probability"])} for bar in bars]
        return {"title": title, "bars": bars, "encoder": "decoder" not in trace.sides}
    if not trace.predicts:
        return None
    side = trace.predicting_side
    step = _step_shown(trace, side, selection)
    likely = trace.next_tokens(step)
    if any(math.isnan(p) for _, _, p in likely):  # of logits that are no numbers nothing is likely
        return None
    bars = [tokens.label(token, tokens.looks_special(token)) | {"probability": p} for token, _, p in likely]
    after = tokens.readable(trace.side(side).texts[step])
    title = words["next" if side == "decoder" else "gap"]
    return {"title": title, "after": after, "bars": bars, "encoder": side == "encoder"}


def _of_the_whole(trace: Trace, words: dict[str, str]) -> tuple[str, list[tuple[str, float]]] | None:
    """(title, [name, probability or score]) of classes, answers, choices or a sentence pair; None where there are none."""
    facts = trace.facts
    if classes := facts.get("classes"):
        scores = facts.get("classes_how") == "scores"
        return words["scores" if scores else "classes"], [(name, p) for name, p in classes]
    if spans := facts.get("answers", {}).get("spans"):
        return words["answer"], [(span["text"] or "∅", span["probability"]) for span in spans]
    if trace.predicts:  # its other head stands on the page Output
        return None
    if len(choices := facts.get("choices", ())) > 1:
        return words["choices"], [(text, p) for text, _, p in choices]
    named = {
        "next": (words["pair_next"], words["next_0"], words["next_1"]),
        "order": (words["pair_order"], words["order_0"], words["order_1"]),
    }
    for how, probabilities in facts.get("sentence_pairs", {}).items():
        title, *names = named[how]
        return title, list(zip(names, probabilities, strict=True))
    return None


def ribbon_axes(trace: Trace, site: Site, merge: bool) -> axes.Axes:
    """(rows, columns) of the ribbons: below what was written, or in self-attention the sentence itself; above the keys."""
    keys = tokens.key_labels(trace, site)
    key_words = trace.side(site.key_side).words
    if site.kind == "cross" and trace.written():
        rows = tokens.written_labels(trace)[: written_rows(trace)]
        # Row t writes what row t + 1 reads; the word of the last one's token is not known.
        words = (*trace.side("decoder").words[1:], -1)[: len(rows)]
    else:  # what each has read; what it wrote is the next chip
        rows, words = tokens.labels(trace, site.query_side), trace.side(site.query_side).words
    by_word = merge and bool(key_words) and len(words) == len(rows) > 0
    if not by_word:
        return axes.token_axis(rows), axes.token_axis(keys)
    return axes.word_axis(rows, words), axes.word_axis(keys, key_words)


def _ribbons(
    trace: Trace,
    ribbon_head: tuple[Site, int],
    title: str,
    arrays: Arrays,
    merge: bool,
    selection: dict[str, Any] | None,
) -> dict[str, Any]:
    """The ribbons of one attention head, by token or word; `hero_at`: the selected pair, whichever head it was chosen in."""
    site, head = ribbon_head
    shown = ribbon_axes(trace, site, merge)
    weights = trace.weights(site, head).numpy()[: shown[0].stop]
    merged = any(len(axis.starts) < axis.stop for axis in shown)
    arrays["hero"] = axes.by_word(weights, np.ones(weights.shape, bool), shown)[0] if merged else weights
    return {
        "target": list(shown[0].labels),
        "hero": {
            "site": str(site),
            "head": head,
            "title": title,
            "source": _left_out(trace, shown[1].labels, shown[1].tokens(0)),
            "merged": merged,
            "keys": site.key_side,
        },
        "hero_at": _ribbon_cell(trace, site, shown, selection),
    }


def _hatched(arrays: Arrays, words: dict[str, str]) -> str:
    """What the hatched cells of the thumbnails are, in words; "" where there are none."""
    states = [array for name, array in arrays.items() if name.endswith(".state")]
    masked, broken = (any(bool((array == kind).any()) for array in states) for kind in (MASKED, NAN))
    if masked and broken:
        return words["hatched_both"]
    return words["hatched_nan"] if broken else words["hatched_masked"] if masked else ""


def same_words(one: Site, two: Site) -> bool:
    """Whether two sites join the same rows of words, so that either's weights are ribbons between them."""
    return (one.query_side, one.key_side) == (two.query_side, two.key_side)


def _ribbon_cell(trace: Trace, site: Site, shown: axes.Axes, selection: dict[str, Any] | None) -> list[int | None]:
    if selection is None or "row" not in selection:
        return [None, None]
    chosen = trace.record(selection["site"]).site
    if not same_words(chosen, site):
        return [None, None]
    return [axis.item(int(selection[name])) for axis, name in zip(shown, ("row", "column"), strict=True)]


def overview_frame(
    trace: Trace,
    ribbon_head: tuple[Site, int] | None,
    selection: dict[str, Any] | None,
    words: dict[str, str],
    ribbon_title: str = "",
    doors: list[dict[str, str]] | None = None,
    editable: bool = True,
    merge: bool = False,
    how: str = "max",
) -> bytes:
    """The frame of the overview component; see viz/ui/components/overview/ for how it is drawn.

    how: what a block of a thumbnail shows, see `viz.heads.thumbnails`.
    """
    arrays: Arrays = {}
    marked = _marked(trace, selection)
    labels = {side: _left_out(trace, tokens.labels(trace, side)) for side in trace.sides}
    sides = {side: _chips(labels[side], _around(marked[side])) for side in trace.sides}
    header: dict[str, Any] = {
        "source": sides.get("encoder", []) if {"encoder", "decoder"} & sides.keys() else next(iter(sides.values())),
        "target": [],
        "shifted": sides.get("decoder", []),
        "source_text": trace.key.source,
        "editable": editable,
        "stacks": stacks(trace, words, arrays, how, sides),
        "selection": selection,
        "marked": marked,
        "words": words,
        "doors": doors or [],
        "direction": "ltr",
    }
    if hatched := _hatched(arrays, words):
        header["hatched"] = hatched
    if ribbon_head is not None and drawable(trace):
        header |= _ribbons(trace, ribbon_head, ribbon_title, arrays, merge, selection)
    if (found := _next(trace, selection, words)) is not None:
        header["next"] = found
    return pack(header, **arrays)
