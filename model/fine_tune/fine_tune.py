"""A few steps of training on a copy of an opened model, and what they change: losses, outputs, heads."""

from __future__ import annotations

import copy
import hashlib
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.own import OwnModel
from model.compare.aligned_runs import HeadChange, aligned_sides, ranked_changes
from model.data_files.read import Line
from model.errors import FineTuneRefused, HeadlightError, TooLargeToTrain
from model.evaluation.by_model import scorer_of, told_language
from model.evaluation.evaluation import Evaluation
from model.evaluation.run import Examples, evaluate, lines
from model.evaluation.score_lines import batches
from model.evaluation.scorer import Example, Scorer
from model.jobs.progress import tick

MOST_EXAMPLES, MOST_STEPS = 64, 200
# A step holds weights, gradients and Adam's two moments: four times the weights, on a copy.
LARGEST = 500_000_000
_SMALL = 20_000_000
_MASKED = 0.15  # share of a text's tokens that a masked model learns from in one step (Devlin et al. 2019, section 3.1)
_AT_ONCE = 8
_LONGEST_WRITTEN = 16


@dataclass(frozen=True)
class Output:
    """What the model gives for one input before and after: an encoder–decoder's answer, a decoder's continuation, the token
    that a masked model puts into a gap in the middle. wanted: what the example has there."""

    given: str
    before: str
    after: str
    wanted: str | None = None


@dataclass(frozen=True, eq=False)
class FineTuned:
    """model: the trained copy, which is opened like the first and can be saved (`model.fine_tune.save`). losses: of each step,
    before its update, nats a token. before, after: both models on the examples. changes: every head by how much its attention
    on the first example changed (mean Jensen–Shannon divergence, nats), most first."""

    model: Any
    losses: tuple[float, ...]
    before: Evaluation
    after: Evaluation
    outputs: tuple[Output, ...]
    changes: tuple[HeadChange, ...]
    settings: dict[str, Any] = field(default_factory=dict)


def fine_tune(
    model: Any, examples: Examples, *, steps: int = 20, learning_rate: float = 1e-4, seed: int = 0,
    language: str | None = None, progress: Callable[[int, float], None] | None = None,
) -> FineTuned:  # fmt: skip
    """Adam (β = 0.9, 0.98, ε = 1e-9; gradients clipped to norm 1) on all examples at every step; the model stays as it is.

    The loss is the mean over all predicted tokens: the next token, the target's tokens, or of a masked model a 15 % of each
    text's tokens that is drawn anew each step with `seed`, each masked by itself. Dropout is off. progress(step, loss).
    language: which the model writes, else told from the examples. Ticks "training". Raises FineTuneRefused, TooLargeToTrain,
    NotInThisModel, LanguageNotSaid, and what reading an example raises.
    """
    given = list(lines(examples))
    _check(model, given, steps, learning_rate)
    language = language or told_language(model, given)[0]
    settings = {"steps": steps, "learning_rate": learning_rate, "seed": seed, "examples": len(given),
                "language": language or "", "from": model.weights_hash}  # fmt: skip
    trained = _copied(model, hashlib.sha256(repr((given, settings)).encode()).hexdigest()[:16])
    scorer = scorer_of(trained, language)
    readings = [scorer.read(line) for line in given]
    before = evaluate(model, given, language=language)
    losses = _trained(trained, scorer, readings, steps, learning_rate, seed, progress)
    after = evaluate(trained, given, language=language)
    told = _outputs(model, trained, before, after, given)
    return FineTuned(
        trained, tuple(losses), before, after, told, _changes(model, trained, given[0], language), settings
    )


def usual(model: Any) -> tuple[int, float]:
    """(steps, learning rate) that are offered first: the small models that ship learn four sentences almost by heart with
    them (tests/model/test_fine_tune.py), and a large one is not torn from what it knows."""
    size = sum(parameter.numel() for parameter in model.module.parameters())
    return 40, 1e-3 if size <= _SMALL else 1e-4


def _check(model: Any, given: Sequence[Line], steps: int, learning_rate: float) -> None:
    if not 1 <= len(given) <= MOST_EXAMPLES:
        raise FineTuneRefused(reason=f"{len(given):,} examples were given, and 1 to {MOST_EXAMPLES} are a handful")
    if not 1 <= steps <= MOST_STEPS:
        raise FineTuneRefused(reason=f"{steps:,} steps were asked for, and 1 to {MOST_STEPS} are a few")
    if not 0 < learning_rate <= 1:
        raise FineTuneRefused(reason=f"the learning rate is {learning_rate}, and it lies between 0 and 1")
    if (getattr(model, "card", {}).get("adapter") or {}).get("applied"):
        raise FineTuneRefused(reason="an adapter lies on this model: open the base model itself")
    if not isinstance(model, OwnModel) and getattr(model, "untouched", None) is None:
        raise FineTuneRefused(reason="a part of this model lies on disk: take a smaller one")
    size = sum(parameter.numel() for parameter in model.module.parameters())
    if size > LARGEST:
        raise TooLargeToTrain(got=f"{size:,}", allowed=f"{LARGEST:,}")


def _copied(model: Any, weights_hash: str) -> Any:
    """The model with weights and a lock of its own. A library model's recorded and untouched modules share theirs there too."""
    other = {"name": f"{model.name}+tuned", "weights_hash": weights_hash, "lock": threading.Lock()}
    with model.lock:
        if isinstance(model, OwnModel):
            return replace(model, module=copy.deepcopy(model.module), **other)
        module, untouched = copy.deepcopy((model.module, model.untouched))
    return replace(model, module=module, untouched=untouched, **other)


def _trained(
    trained: Any, scorer: Scorer, readings: Sequence[Example], steps: int, learning_rate: float, seed: int,
    progress: Callable[[int, float], None] | None,
) -> list[float]:  # fmt: skip
    """Train in place; the loss of each step before its update."""
    parameters = [parameter for parameter in trained.module.parameters() if parameter.is_floating_point()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    adam = torch.optim.Adam(parameters, lr=learning_rate, betas=(0.9, 0.98), eps=1e-9)
    generator, losses = random.Random(seed), []
    with torch.enable_grad():
        for step in range(steps):
            tick("training", step / steps)
            adam.zero_grad()
            losses.append(_step(scorer, [_some(each, generator) for each in readings]))
            nn.utils.clip_grad_norm_(parameters, 1.0)
            adam.step()
            if progress is not None:
                progress(step + 1, losses[-1])
    adam.zero_grad(set_to_none=True)
    return losses


def _some(example: Example, generator: random.Random) -> Example:
    """Of a masked model's text the places that are learned from this time; other examples as they are."""
    if not example.positions:
        return example
    count = max(1, round(_MASKED * len(example.positions)))
    return replace(example, positions=tuple(sorted(generator.sample(example.positions, count))))


def _step(scorer: Scorer, readings: Sequence[Example]) -> float:
    """Add up the gradients of the mean loss over all tokens, a few examples at a time; the loss."""
    tokens = sum(len(each.positions) or len(each.ids) - each.first for each in readings)
    total = 0.0
    for group in batches(readings, _AT_ONCE, scorer.vocabulary):
        loss: Tensor = torch.stack([found.losses.sum() for found in scorer.losses(group)]).sum() / tokens
        loss.backward()
        total += float(loss.detach())
    return total


def _outputs(
    model: Any, trained: Any, before: Evaluation, after: Evaluation, given: Sequence[Line]
) -> tuple[Output, ...]:  # fmt: skip
    task = before.about["task"]
    if task == "seq2seq" or (before.answers[0] and after.answers[0]):
        columns = [before.rows["source"], before.rows["written"], after.rows["written"], before.rows["target"]]
        return tuple(Output(*row) for row in zip(*(one.to_pylist() for one in columns), strict=True))
    show = _filled if task == "masked" else _continued
    return tuple(Output(*found) for line in given if (found := _both(show, model, trained, line)) is not None)


def _both(
    show: Callable[..., tuple[str, str, str]], model: Any, trained: Any, line: Line
) -> tuple[str, str, str, str] | None:
    try:
        first, second = show(model, line.source), show(trained, line.source)
    except HeadlightError:  # a text too short to be cut in two has no output to show
        return None
    return first[0], first[1], second[1], first[2]


def _continued(model: Any, text: str) -> tuple[str, str, str]:
    """(the first half of a text's words, what a decoder goes on with, the other half)."""
    words = text.split()
    half = max(1, len(words) // 2)
    start, rest = " ".join(words[:half]), " ".join(words[half:])
    trace = model.trace(start, new_tokens=_LONGEST_WRITTEN)
    side, prompt = trace.side("decoder"), int(trace.facts["prompt"])
    if isinstance(model, OwnModel):
        return start, model.target.text(side.tokens[prompt:]), rest
    return start, str(model.tokenizer.decode(list(side.ids[prompt:]), skip_special_tokens=True)).strip(), rest


def _filled(model: Any, text: str) -> tuple[str, str, str]:
    """(the text with its middle token masked, the token that is put there, the one that stood there)."""
    scorer = scorer_of(model)
    example = scorer.read(Line(1, text))
    middle = example.positions[len(example.positions) // 2]
    with torch.no_grad():
        (found,) = scorer.losses([replace(example, positions=(middle,))])
    names = model.source.vocabulary if isinstance(model, OwnModel) else model.vocabulary
    shown = [names[i] if i < len(names) else f"#{i}" for i in example.ids]
    gap = " ".join("▁" if i == middle else token for i, token in enumerate(shown))
    return gap, names[int(found.best[0])], shown[middle]


def _changes(model: Any, trained: Any, line: Line, language: str | None) -> tuple[HeadChange, ...]:
    both = []
    for one in (model, trained):
        pairs = isinstance(one, OwnModel) and one.config.encoder_layers and one.config.decoder_layers
        if line.target is None:
            both.append(one.trace(line.source))
        elif pairs or getattr(one, "task", "") == "seq2seq":
            both.append(one.trace(line.source, line.target, language=language))
        else:
            both.append(one.trace(f"{line.source} {line.target}"))
    return ranked_changes(*both, aligned_sides(*both))
