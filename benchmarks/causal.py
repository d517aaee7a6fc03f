"""What it costs to say what heads do: one backward pass for every edge, every head off in real runs, and the meter's figures.

python -m benchmarks.causal [--rounds N] [--meter]

A GPT-2-shaped model of random weights (12 layers, 144 heads, 124 million parameters), one thread; plain forwards stand in the
same rounds, so read the ratios. --meter prints the rank correlation of each method with real knock-outs for models that ship.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model import open_model
from model.attribution import meter
from model.attribution.attribution import attribute
from model.attribution.heads_off import effects, every_head
from model.attribution.metric import metric_of
from model.trace.trace import Trace

TEXTS = {
    "translate": ("the animal didn't cross the street because it was too tired", {"language": "fr"}),
    "small-gpt2": (None, {}),
    "small-bert": ("the cat [MASK] on the mat", {}),
    "small-t5": (None, {}),
}


def gpt2(folder: Path) -> Any:
    """The model with a tokenizer of numbered words, saved and opened as any checkpoint is."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    core = Tokenizer(models.WordLevel({f"w{i}": i for i in range(50257)}, unk_token="w0"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="w0").save_pretrained(folder)
    return open_model(folder)


def timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def costs(rounds: int) -> str:
    """The table in Markdown."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        model = gpt2(Path(place) / "gpt2")
        rows = ["| work | tokens | in plain forwards |", "|---|---|---|"]
        for n in (64, 512):
            trace = model.trace(" ".join(f"w{7 * i % 5000}" for i in range(n)))
            rows.append(f"| one backward pass, every edge of 144 heads | {n} | {_edges(model, trace, rounds):.1f} |")
        trace = model.trace(" ".join(f"w{7 * i % 5000}" for i in range(64)))
        rows.append(f"| 144 heads off, one at a time, real runs | 64 | {_sweep(model, trace):.0f} |")
    return "\n".join(rows)


def _plain(model: Any, trace: Trace) -> Callable[[], object]:
    ids = torch.tensor([trace.token_ids("decoder")])

    def run() -> None:
        with torch.no_grad():
            model.module(ids, use_cache=False)

    return run


def _edges(model: Any, trace: Trace, rounds: int) -> float:
    ratios = []
    for _ in range(rounds):
        plain = timed(_plain(model, trace))
        ratios.append(timed(lambda: attribute(model, trace, "knockout").weights(trace.sites[0], 0, 0)) / plain)
    return statistics.median(ratios)


def _sweep(model: Any, trace: Trace) -> float:
    plain = statistics.median(timed(_plain(model, trace)) for _ in range(5))
    some = every_head(trace)[::12]  # one head a layer stands for its twelve
    return timed(lambda: list(effects(model, trace, metric_of(trace), some))) / plain * 12


def readings() -> str:
    """The table in Markdown: a model a row, its methods' rank correlations with 95 % intervals."""
    rows: list[str] = []
    for name, (text, given) in TEXTS.items():
        model = open_model(name)
        trace = model.trace(text or model.card["examples"][0], **given)
        position = trace.written().index("il") if name == "translate" else None
        found = meter.measured(model, trace, metric_of(trace, position))
        if not rows:
            names = [one.name for one in found.readings]
            rows = [f"| model | edges | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
        told = [f"{one.correlation:.2f} ({one.low:.2f}–{one.high:.2f})" for one in found.readings]
        rows.append(f"| {name} | {len(found.edges)} | {' | '.join(told)} |")
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--meter", action="store_true")
    arguments = parser.parse_args(argv)
    sys.stdout.write((readings() if arguments.meter else costs(arguments.rounds)) + "\n")


if __name__ == "__main__":
    main()
