"""Training our own models again from a seed: teacher forcing, Adam, warm-up then decay, averaged weights.

The paper's optimiser (Vaswani et al. 2017, section 5.3: Adam, β = (0.9, 0.98), ε = 1e-9, linear warm-up) with a cosine
decay to zero instead of its inverse square root, because the number of steps is known beforehand.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from model.errors import HeadlightError
from model.training.checkpoint import card_of, save_partial, save_trained
from model.training.data import Encoded, Vocabulary, batches, data_hash, encode
from model.training.evaluate import validation_loss
from model.training.recipes import TEST_SEED, Recipe, Run, recipe
from model.transformer.config import TransformerConfig
from model.transformer.encoder_decoder import Transformer

CHECKPOINTS = Path("checkpoints")  # below the current folder: an installed Headlight may lie where nobody may write
Progress = Callable[[int, int, dict[str, float]], None]


class TrainingInterrupted(HeadlightError):
    code = "training_interrupted"
    sentence = "Training stopped at step {step} of {steps}; {kept}."


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Linear from 0 to `peak` in `warmup` steps, then a half cosine down to 0 at `steps`. step counts from 1."""
    warmup = min(warmup, max(1, steps // 5))
    if step < warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def start(made: Recipe, vocabulary: Vocabulary, seed: int) -> Run:
    """An untrained model of the recipe's sizes."""
    words = {"source_vocabulary": len(vocabulary.source), "target_vocabulary": len(vocabulary.target)}
    torch.manual_seed(seed)
    module = Transformer(TransformerConfig(**made.sizes, **words, dropout=made.dropout))
    return Run(made, vocabulary, module, copy.deepcopy(module).eval())


def loss_of(logits: Tensor, wanted: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of logits [b, m, V] against ids [b, m], padding (id 0) ignored, mean over tokens."""
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=0, label_smoothing=smoothing)


def optimise(
    run: Run, train_data: Encoded, validation: Encoded, steps: int, seed: int, progress: Progress | None = None
) -> Run:
    """The loop. It is bit-reproducible on one thread: every random number comes from `seed`."""
    made, module = run.recipe, run.module.train()
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed + 1)
    adam = torch.optim.Adam(module.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-9)
    rows = batches(train_data, made.batch, generator)
    every, begun, recent = max(1, min(250, steps // 20)), time.perf_counter(), []
    for run.step in range(1, steps + 1):
        rate = learning_rate(run.step, steps, made.peak, made.warmup)
        for group in adam.param_groups:
            group["lr"] = rate
        source, target = train_data.batch(next(rows))
        loss = loss_of(module(source, target[:, :-1]), target[:, 1:], made.smoothing)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        adam.step()
        _average(run, steps)
        recent.append(loss.item())
        if run.step % every == 0 or run.step in (1, steps):
            held = validation_loss(run.average, validation)
            run.curve.append((run.step, round(sum(recent) / len(recent), 5), round(held, 5), round(rate, 7)))
            recent = []
        run.seconds = time.perf_counter() - begun
        if progress:
            progress(run.step, steps, {"loss": loss.item(), "validation": run.curve[-1][2], "rate": rate})
    return run


@torch.no_grad()
def _average(run: Run, steps: int) -> None:
    """Exponential moving average of the weights; it forgets the noisy beginning quickly."""
    keep = min(run.recipe.average, run.step / (run.step + 10))
    for slow, fast in zip(run.average.parameters(), run.module.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


def _bar(steps: int, name: str) -> tuple[Progress, Callable[[], None]]:
    """A tqdm bar on stderr, as a `Progress` and its close."""
    from tqdm import tqdm

    bar = tqdm(total=steps, desc=name, unit="step", file=sys.stderr)

    def show(step: int, _steps: int, values: dict[str, float]) -> None:
        bar.set_postfix({"loss": f"{values['loss']:.3f}", "validation": f"{values['validation']:.4f}"}, refresh=False)
        bar.update(step - bar.n)

    return show, bar.close


def train(
    name: str,
    out: str | Path | None = None,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | bool = True,
    train_size: int | None = None,
) -> str:
    """Train the recipe `name` and write the folder `out` (default checkpoints/<name>, below the current one); says what it did.

    progress: True for a bar on stderr, False for silence, or a function (step, steps, values). The weights that are
    there are replaced only at the very end; Ctrl-C leaves them alone and saves the averaged ones so far to
    weights.safetensors.partial.
    """
    made = recipe(name)
    made = replace(made, train_size=train_size or made.train_size)
    out, steps = Path(out or CHECKPOINTS / name), steps or made.steps
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of two threads differ in their last bits, and small matrices gain nothing
    run, close = None, lambda: None
    try:
        run, train_data, validation, fingerprint = _prepared(made, seed)
        if progress is True:
            progress, close = _bar(steps, name)
        optimise(run, train_data, validation, steps, seed, progress or None)
        close()
        card = card_of(run, seed, steps, fingerprint, TEST_SEED)
        save_trained(out, run, card)
    except KeyboardInterrupt:
        close()
        if run is None:
            raise TrainingInterrupted(step=0, steps=steps, kept="nothing was trained yet") from None
        path = save_partial(out, run)
        raise TrainingInterrupted(step=run.step, steps=steps, kept=f"the weights so far are in {path}") from None
    finally:
        torch.set_num_threads(threads)
    scores = ", ".join(f"{language} {value['exact_match']:.2%}" for language, value in card["test"].items())
    return f"{out}: {steps} steps in {run.seconds:.0f} s; exact match on the test set: {scores}"


def _prepared(made: Recipe, seed: int) -> tuple[Run, Encoded, Encoded, str]:
    """(untrained run, training data, validation data, fingerprint of the training data)."""
    examples = [e for language in made.languages for e in made.examples("train", language, made.train_size, seed)]
    held = [e for lang in made.languages for e in made.examples("validation", lang, made.validation_size, TEST_SEED)]
    test = [e for lang in made.languages for e in made.examples("test", lang, made.test_size, TEST_SEED)]
    # Held-out sentences may use a rare word form that no training sentence happens to have: it still has an id.
    vocabulary = Vocabulary.of([*examples, *held, *test], made.kind, made.starts)
    run = start(made, vocabulary, seed)
    return run, encode(examples, vocabulary), encode(held, vocabulary), data_hash(examples)
