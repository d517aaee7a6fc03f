"""Which `Scorer` a model has, by what it predicts."""

from __future__ import annotations

from typing import Any

from model.checkpoints.own import OwnModel
from model.errors import NotInThisModel
from model.evaluation.library import LibraryScorer
from model.evaluation.masked import MaskedScorer
from model.evaluation.own import own_scorer
from model.evaluation.scorer import TASKS, Scorer


def scorer_of(model: Any, language: str | None = None, write: bool = True) -> Scorer:
    """How `model` is evaluated. language: which of its languages it writes. write: whether an encoder–decoder also writes its
    own answers, which takes most of the time. Raises NotInThisModel for one that predicts no tokens."""
    if isinstance(model, OwnModel):
        return own_scorer(model, language, write)
    task = getattr(model, "task", "")
    if getattr(model, "reads", "text") != "text" or getattr(model, "tokenizer", None) is None or task not in TASKS:
        raise NotInThisModel(what="Predicting the tokens of a text", does="has no such output")
    if task == "masked":
        return MaskedScorer(model)
    return LibraryScorer(model, language, write)
