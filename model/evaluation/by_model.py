"""What a model is asked, by what it predicts: its `Scorer`; and which of its languages it writes where nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from model.checkpoints.own import OwnModel
from model.checkpoints.tokens.languages import code_id
from model.data_files.read import Line
from model.errors import HeadlightError, LanguageNotSaid, NotInThisModel
from model.evaluation.library import LibraryScorer
from model.evaluation.masked import MaskedScorer
from model.evaluation.own import own_scorer
from model.evaluation.score_lines import batches
from model.evaluation.scorer import TASKS, Scorer

LOOKED_AT = 16  # pairs that it is told from
_MOST = 6  # languages that are tried; between more a person chooses
_AT_ONCE = 8


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


def languages_of(model: Any) -> tuple[str, ...]:
    """What an encoder–decoder can be asked to write, its default first; () where there is no choice."""
    if isinstance(model, OwnModel):
        pairs = model.config.encoder_layers and model.config.decoder_layers
        found = tuple(model.starts) if pairs else ()
    else:
        found = tuple(getattr(model, "languages", ()))
    return found if len(found) > 1 else ()


def told_language(model: Any, lines: Sequence[Line]) -> tuple[str | None, dict[str, float]]:
    """(the language of the references in `lines`, None where there is no choice; the loss of each that was tried).

    The loss is the mean over the references' tokens with each language's start token, nats: whatever the alphabet, the
    model itself knows its languages apart. Raises LanguageNotSaid where there are too many to try.
    """
    known = languages_of(model)
    if not known:
        return None, {}
    if (fixed := _configured(model, known)) is not None:
        return fixed, {}
    if len(known) > _MOST:
        raise LanguageNotSaid(got=len(known), allowed=", ".join(known))
    losses = {code: loss for code in known if (loss := _loss(model, lines, code)) is not None}
    return (min(losses, key=losses.__getitem__), losses) if losses else (known[0], {})


def _configured(model: Any, known: Sequence[str]) -> str | None:
    """The language that a library model's own configuration makes it write."""
    settings = getattr(model.module, "generation_config", None)
    forced = getattr(settings, "forced_bos_token_id", None)
    if isinstance(model, OwnModel) or forced is None:
        return None
    return next((code for code in known if code_id(model.tokenizer, code) == forced), None)


def _loss(model: Any, lines: Sequence[Line], language: str) -> float | None:
    """Nats a token over the pairs that the model reads; None where it reads none of them."""
    scorer, readings = scorer_of(model, language, write=False), []
    for line in lines:
        try:
            readings.append(scorer.read(line))
        except HeadlightError:  # scoring the file says why
            continue
    total = tokens = 0.0
    with model.lock, torch.no_grad():
        for group in batches(readings, _AT_ONCE, scorer.vocabulary):
            for found in scorer.losses(group):
                total, tokens = total + float(found.losses.sum()), tokens + len(found.losses)
    return total / tokens if tokens else None
