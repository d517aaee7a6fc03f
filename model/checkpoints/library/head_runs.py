"""What of a task head takes runs beside the recorded one: the scores of further choices, and the rows that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.checkpoints.record.forward import Recorded, plain
from model.checkpoints.task_heads.outputs import OF_THE_WHOLE
from model.checkpoints.task_heads.read_rows import rows_read
from model.checkpoints.tokens.encode import Encoded
from model.jobs.progress import tick

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel


def choices(pair: str | None) -> list[str]:
    """The choices of a question, one a line; the first is the one whose run is recorded."""
    return [line.strip() for line in (pair or "").splitlines() if line.strip()]


def head_facts(
    model: HuggingFaceModel,
    recorded: Recorded,
    inputs: Mapping[str, Tensor],
    others: Sequence[Encoded],
    pair: str | None,
) -> dict[str, object]:
    """`choices`: [text, score, probability] of each, a softmax over the choices given, and `read_at`: [stack, rows, all].

    others: the readings of the choices after the recorded one, (). Each choice is scored by a run of its own, without padding.
    """
    facts: dict[str, object] = {}
    if "choice_logits" in recorded.store:
        scores = [recorded.store["choice_logits"]]
        for i, other in enumerate(others):
            tick("layers", i / len(others))
            scores.append(plain(model.untouched or model.module, other.inputs)["choice_logits"])
        values = torch.cat(scores).double()
        names = (choices(pair) if model.task == "multiple_choice" else [pair]) or [""]
        rows = zip(names, values.tolist(), values.softmax(0).tolist(), strict=True)
        facts["choices"] = [[name or "", score, p] for name, score, p in rows]
    if model.untouched is not None and any(name in recorded.store for name in OF_THE_WHOLE):
        last = list(recorded.attention)[-1]
        length = recorded.attention[last].queries
        rows = rows_read(model.untouched, inputs, recorded.modules[str(last)], length)
        if rows:
            facts["read_at"] = [last.stack, list(rows)] if len(rows) < length else [last.stack, []]
    return facts
