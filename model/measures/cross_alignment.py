"""The three attentions of an encoder–decoder in one run: the shifted target, one row of each, and word alignment.

The decoder reads y_0 … y_{m−1} (y_0 is the start token) and writes y_1 … y_m: row t reads y_t and writes y_{t+1}
(Vaswani et al. 2017, section 3.1, "the output embeddings are offset by one position"). In cross-attention queries come
from the decoder, keys and values from the encoder's output (section 3.2.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from model.trace.site import Site
from model.trace.trace import Trace

Rows = tuple[tuple[int, ...], ...]
_YEAR = re.compile(r"(?=((?:19|20)[0-9]{2}))")


@dataclass(frozen=True)
class Shifted:
    """One row of the decoder: the token it reads and the one it writes, with the probability given to that one.

    probability: 0–1, None where the run kept no logits of it. likeliest: the token with the largest probability.
    """

    position: int
    read: str
    written: str
    probability: float | None
    likeliest: str


@dataclass(frozen=True, eq=False)
class AttentionRow:
    """One row of one attention: weights float32 [k] (they sum to 1), allowed bool [k]."""

    site: Site
    head: int
    row: int
    weights: Tensor
    allowed: Tensor


@dataclass(frozen=True)
class Gold:
    """rows[t]: the source positions that the word written by decoder row t stands for, () where it stands for none.

    missing: "" where the alignment is known; else why not: "foreign" (no grammar of ours made this model's data),
    "outside" (the grammar cannot say this input), "other" (the model wrote another target), "babel" (a library for dates).
    """

    rows: Rows = ()
    missing: str = ""


def crosses(trace: Trace) -> tuple[Site, ...]:
    """The cross-attention sub-layers of a run; () where the model is no encoder–decoder."""
    both = {"encoder", "decoder"} <= trace.sides.keys()
    return tuple(site for site in trace.sites if site.kind == "cross" and site.stack == "decoder" and both)


def shifted(trace: Trace) -> list[Shifted]:
    """What each decoder row reads and writes, in order."""
    side, found = trace.side("decoder"), []
    for t, (read, written) in enumerate(zip(side.texts, trace.written(), strict=False)):
        best = trace.next_tokens(t, top=64) if trace.predicts else []
        last = t + 1 >= len(side.ids)
        known = [p for token, number, p in best if (token == written if last else number == side.ids[t + 1])]
        found.append(Shifted(t, read, written, known[0] if known else None, best[0][0] if best else ""))
    return found


def three_rows(trace: Trace, layer: int, head: int, row: int) -> list[AttentionRow]:
    """Decoder self, cross-attention and encoder self, one row of each: [k] weights.

    The cross and the decoder's row are those of query `row`; the encoder's row is that of the source token which the
    cross row gives most weight. Where a stack lacks this layer or head, the nearest one stands in.
    """
    cross = _attention_row(trace, Site("decoder", layer, "cross"), head, row)
    own, read = (_self_attention(trace, stack, layer) for stack in ("decoder", "encoder"))
    source = int(cross.weights.argmax())
    return [
        *([_attention_row(trace, own, head, row)] if own else []), cross,
        *([_attention_row(trace, read, head, source)] if read else []),
    ]  # fmt: skip


def _self_attention(trace: Trace, stack: str, layer: int) -> Site | None:
    """The self-attention of a stack in this layer, or in the nearest one that has any."""
    sites = [site for site in trace.sites if site.stack == stack and site.kind == "self" and site.sides is None]
    return min(sites, key=lambda site: abs(site.layer - layer), default=None)


def _attention_row(trace: Trace, site: Site, head: int, row: int) -> AttentionRow:
    record = trace.record(site)
    head, rows = min(head, record.heads - 1), slice(row, row + 1)
    return AttentionRow(site, head, row, record.weights(head, rows)[0], record.allowed(rows)[0])


def mean_weights(trace: Trace, site: Site) -> Float[Tensor, "q k"]:
    """The mean over the heads of a site's weights; its rows sum to 1 as well."""
    record = trace.record(site)
    total = record.weights(0).clone()
    for head in range(1, record.heads):
        total += record.weights(head)
    return total / record.heads


def key_blocks(weights: Float[Tensor, "q k"], most: int) -> tuple[Float[Tensor, "q blocks"], int]:
    """(weights summed over blocks of neighbouring keys, keys to a block), at most `most` blocks; rows still sum to 1."""
    size = -(-weights.shape[1] // most)
    padded = torch.nn.functional.pad(weights, (0, -weights.shape[1] % size))
    return padded.unflatten(1, (-1, size)).sum(-1), size


def gold(trace: Trace) -> Gold:
    """The alignment that the grammar of the training data gives this run, row by row of the decoder."""
    by = _ours(trace)
    if not by:
        return Gold(missing="foreign")
    words = [token for token, special in zip(trace.tokens("encoder"), trace.side("encoder").special, strict=True)
             if not special]  # fmt: skip
    try:
        known = _known(by, tuple(words), trace.language)
    except ImportError:
        return Gold(missing="babel")
    if not known:
        return Gold(missing="outside")
    written = trace.written()
    for target, alignment in known:
        # A target that was forced may stop early; the end token stands for nothing.
        if tuple(written[: len(target)]) == target or (written and tuple(written[:-1]) == target[: len(written) - 1]):
            rows = [*alignment, *[()] * len(written)]
            return Gold(tuple(tuple(row) for row in rows[: len(written)]))
    return Gold(missing="other")


def _ours(trace: Trace) -> str:
    """The task of ours whose data tell the alignment: of the shipped models, and one that follows a rule, told by the output
    language that it alone has; "" where there is none."""
    from model.training.tasks.registry import TASKS

    if trace.key.model in ("translate", "dates"):
        return trace.key.model
    if "family" in trace.facts or not crosses(trace):
        return ""
    return next((name for name, task in TASKS.items() if task.answer and trace.language in task.starts), "")


def _known(by: str, words: tuple[str, ...], language: str) -> list[tuple[tuple[str, ...], Rows]]:
    """Every (target, alignment) of a source in the data of a task. Raises ImportError where dates lack Babel."""
    from model.training.tasks.registry import TASKS

    if by == "translate":
        return _sentence(words, language)
    if by == "dates":
        return _dates("".join(words))
    try:
        return [TASKS[by].answer(words)]
    except ValueError:
        return []


def _sentence(words: tuple[str, ...], language: str) -> list[tuple[tuple[str, ...], Rows]]:
    from model.training.language.grammar import gold_alignment

    pair = gold_alignment(words, language)
    return [] if pair is None else [(pair.target, pair.alignment)]


def _dates(text: str) -> list[tuple[tuple[str, ...], Rows]]:
    """Every date that one of the training formats writes as `text`. Raises ImportError without Babel."""
    import datetime

    from model.training.dates import FIRST_YEAR, FORMATS, LAST_YEAR, write

    found = []
    for year in {int(match[1]) for match in _YEAR.finditer(text)}:
        if not FIRST_YEAR <= year <= LAST_YEAR:
            continue
        first = datetime.date(year, 1, 1).toordinal()
        days = [datetime.date.fromordinal(first + i) for i in range(366)]
        numbers = {int(digits) for digits in re.findall(r"[0-9]+", text)}
        for day in (day for day in days if day.day in numbers and day.year == year):
            for locale, patterns in FORMATS.items():
                for date in (write(day, pattern, locale) for pattern in patterns):
                    if date.text == text:
                        found.append((tuple(date.iso), date.alignment))
    return list(dict.fromkeys(found))


def agreement(weights: Float[Tensor, "q k"], rows: Sequence[Sequence[int]]) -> tuple[int, int]:
    """(rows whose strongest key is a gold one, rows that have a gold key)."""
    strongest = weights.argmax(-1).tolist()
    counted = [(key, row) for key, row in zip(strongest, rows, strict=False) if row]
    return sum(key in row for key, row in counted), len(counted)


def agreement_of_heads(trace: Trace, rows: Sequence[Sequence[int]]) -> dict[tuple[Site, int], tuple[int, int]]:
    """(site, head) -> `agreement` for every head of every cross-attention."""
    return {
        (site, head): agreement(trace.record(site).weights(head), rows)
        for site in crosses(trace)
        for head in range(trace.record(site).heads)
    }
