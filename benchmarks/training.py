"""What our training loop costs: tokens per second beside a bare PyTorch loop of nn.Transformer on the same work, and snapshots.

python -m benchmarks.training [--rounds N] [--steps N] [--quick] [--json FILE] [--slider]

Both loops train an encoder–decoder of the same sizes on the same batches of the task `translate`, on one thread, in turns in one
process, a round of so many steps each. The bare loop is what a person would write: forward, cross-entropy without padding,
backward, clipping, Adam; ours logs every step and keeps averaged weights. nn.Transformer ends each stack with a LayerNorm that
ours has not. Snapshots and checkpoints are timed by themselves, on the wall, because they wait for the disk.
With --slider instead: the page Forming in Chromium, from a hand on the slider to the frame after the one that was drawn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.training.options import Options, options_of
from model.training.run_files.folder import LOG
from model.training.run_files.log import Log
from model.training.train import RARELY, Run, begin
from model.training.trainer import BETAS, EPSILON, Trainer
from model.transformer.positions import Sinusoidal

# One step of the slider, and the frame after the one in which the matrix was drawn.
DRAG = """([root, place]) => {
  const range = root.querySelector(".scrub input"), began = performance.now();
  range.value = place;
  range.dispatchEvent(new Event("input"));
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began))));
}"""


class Bare(nn.Module):
    """torch's own Transformer with the embeddings, positions and output that it leaves to whoever uses it."""

    def __init__(self, trainer: Trainer):
        super().__init__()
        c = trainer.module.config
        self.factor = c.d_model**0.5
        self.source, self.target = (
            nn.Embedding(n, c.d_model, padding_idx=0) for n in (c.source_vocabulary, c.target_vocabulary)
        )
        self.positions, self.dropout = Sinusoidal(c.max_length, c.d_model), nn.Dropout(c.dropout)
        self.transformer = nn.Transformer(
            c.d_model, c.heads, c.encoder_layers, c.decoder_layers, c.d_ff, c.dropout, batch_first=True,
            norm_first=c.norm == "pre",
        )  # fmt: skip
        self.project = nn.Linear(c.d_model, c.target_vocabulary)

    def embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        return self.dropout(embedding(ids) * self.factor + self.positions.encoding(ids.shape[1]))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        later = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=torch.bool)
        given = {"src_key_padding_mask": source == 0, "memory_key_padding_mask": source == 0,
                 "tgt_key_padding_mask": target == 0, "tgt_mask": later, "tgt_is_causal": True}  # fmt: skip
        return self.project(self.transformer(self.embed(self.source, source), self.embed(self.target, target), **given))


def bare_round(module: Bare, adam: torch.optim.Adam, trainer: Trainer, batches: list[Tensor]) -> int:
    """Train on these rows; how many target tokens were learnt from."""
    count = 0
    for rows in batches:
        source, target = trainer.batches.data.batch(rows)
        logits, wanted = module(source, target[:, :-1]), target[:, 1:]
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=0)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        adam.step()
        loss.item()  # what a progress bar shows
        count += int((wanted != 0).sum())
    return count


class Taken:
    """Batches that were drawn beforehand, so that both loops see the same ones."""

    def __init__(self, trainer: Trainer):
        self.real, self.rows = trainer.batches, iter(())
        self.data, self.began, self.taken = self.real.data, self.real.began, 0

    def __next__(self) -> Tensor:
        return next(self.rows)


def our_round(trainer: Trainer, log: Log, batches: list[Tensor]) -> None:
    """The same rows through the loop of a run."""
    trainer.batches.rows = iter(batches)
    for _ in batches:
        log.add(trainer.advance())


def compared(options: Options, rounds: int, steps: int) -> dict[str, list[float]]:
    """Tokens per second of each loop, round by round, and what a run's snapshots and checkpoints take in seconds."""
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {"bare": [], "ours": [], "seconds_a_step": []}
    with tempfile.TemporaryDirectory() as place:
        run = Run(begin(options, Path(place) / "run"), options)
        run.open()
        trainer = run.trainer
        trainer.batches = Taken(trainer)
        bare = Bare(trainer).train()
        adam = torch.optim.Adam(bare.parameters(), lr=1e-4, betas=BETAS, eps=EPSILON)
        log = Log(Path(place) / LOG, 0)
        for number in range(rounds + 1):
            batches = [next(trainer.batches.real) for _ in range(steps)]
            seconds = {}
            for name in (("bare", "ours"), ("ours", "bare"))[number % 2]:
                began, wall = time.process_time(), time.perf_counter()
                if name == "bare":
                    tokens = bare_round(bare, adam, trainer, batches)
                else:
                    our_round(trainer, log, batches)
                    found["seconds_a_step"].append((time.perf_counter() - wall) / steps)
                seconds[name] = time.process_time() - began
            if number:  # the first round warms up
                for name, took in seconds.items():
                    found[name].append(tokens / took)
        run.kept = frozenset({trainer.step})
        for name in ("save", "snapshot"):
            found[name] = [_timed(getattr(run, name)) for _ in range(max(3, rounds))]
        log.close()
        run.log.close()
    return found


def _timed(work: Callable[[], None]) -> float:
    """Seconds on the wall."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def slider(model: str, rounds: int) -> list[float]:
    """Milliseconds of every step that the slider of a shipped model is moved to, on its first example."""
    from benchmarks.window import fresh_page, launched
    from model import history
    from tests.browser.server import ROOT, running

    with (
        launched() as browser, tempfile.TemporaryDirectory() as folder,
        running(ROOT / "app.py", Path(folder) / "log.txt") as url, fresh_page(browser) as page,
    ):  # fmt: skip
        page.goto(f"{url}/forming?model={model}&lang=en")
        root = page.locator(".headlight.matrix").first
        root.locator(".scrub input").wait_for(timeout=120_000)
        page.wait_for_timeout(2000)
        handle, steps = root.element_handle(), len(history(model))
        return [page.evaluate(DRAG, [handle, place]) for _ in range(rounds) for place in range(steps)]


def slider_report(rounds: int) -> str:
    """The table in Markdown, of the models that ship with their history."""
    rows = ["| model | steps | median | 95 % within |", "|---|---|---|---|"]
    for model in ("induction", "translate"):
        times = slider(model, rounds)
        most = statistics.quantiles(times, n=20)[-1]
        rows.append(f"| {model} | {len(times) // rounds} | {statistics.median(times):.0f} ms | {most:.0f} ms |")
    return "\n".join(rows)


def report(found: dict[str, list[float]], options: Options) -> str:
    """The table in Markdown."""
    bare, ours = (statistics.median(found[name]) for name in ("bare", "ours"))
    ratio = statistics.median(a / b for a, b in zip(found["ours"], found["bare"], strict=True))
    step = statistics.median(found["seconds_a_step"])
    save, snapshot = (statistics.median(found[name]) for name in ("save", "snapshot"))
    kept = options.snapshots * snapshot / (step * options.steps)
    checkpoints = save / max(options.save_seconds, RARELY * save)
    return "\n".join([
        "| loop | target tokens per CPU second | ratio |", "|---|---|---|",
        f"| bare nn.Transformer | {bare:,.0f} | 1.00 |", f"| ours | {ours:,.0f} | {ratio:.2f} |", "",
        f"On the wall a step takes {step * 1000:.0f} ms, a snapshot {snapshot * 1000:.0f} ms and a checkpoint "
        f"{save * 1000:.0f} ms: in a run of {options.steps:,} steps {options.snapshots} snapshots are {kept:.1%} of the time, "
        f"checkpoints {checkpoints:.1%}.",
    ])  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="of a round")
    parser.add_argument("--quick", action="store_true", help="one round of two steps at a small size")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--slider", action="store_true", help="time the slider of Forming, and nothing else")
    arguments = parser.parse_args(argv)
    if arguments.slider:
        sys.stdout.write(slider_report(arguments.rounds) + "\n")
        return
    given: dict[str, Any] = {"train_size": 5000, "evaluate_every": 10**9}
    rounds, steps = arguments.rounds, arguments.steps
    if arguments.quick:
        rounds, steps, given = 1, 2, given | {"train_size": 150, "d_model": 16, "heads": 2, "d_ff": 16}
    options = options_of("translate", **given)
    found = compared(options, rounds, steps)
    if arguments.json:
        arguments.json.write_text(json.dumps(found), encoding="utf-8")
    sys.stdout.write(report(found, options) + "\n")


if __name__ == "__main__":
    main()
