"""What recording a forward costs: seconds against the plain forward, and memory, beside other ways to see attention.

python -m benchmarks.recording [--quick] [--shape NAME] [--length N] [--json FILE]

Models of three well-known shapes with random weights, batch 1, one thread. One process a shape runs all methods in turns,
shuffled anew each round; the plain forward runs twice a round, which shows the noise. Memory is read in one process a
method, from what Linux reports.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Any

MIB = 2**20
GUARD = 6 * 2**30  # bytes; a method that is expected to need more is not run


@dataclass(frozen=True)
class Shape:
    """A model of the library by its class, and where its attention modules lie in each layer of which list."""

    title: str
    model: str
    config: str
    layers: int
    heads: int
    width: int
    attention: tuple[str, str]
    options: dict[str, Any] = field(default_factory=dict)

    def build(self, n: int, attention: str = "sdpa") -> Any:
        """The model with random weights and positions for n tokens; the vocabulary is cut so that the head is small."""
        import torch
        import transformers

        torch.manual_seed(0)
        config = getattr(transformers, self.config)(
            vocab_size=1000, num_hidden_layers=self.layers, num_attention_heads=self.heads, hidden_size=self.width,
            max_position_embeddings=n, bos_token_id=0, eos_token_id=0, **self.options,
        )  # fmt: skip
        config._attn_implementation = attention
        return getattr(transformers, self.model)(config).eval()

    def too_large(self, method: str, n: int) -> bool:
        """What is kept at least: eager the weights, TransformerLens scores too and some 40 vectors a token."""
        weights = self.layers * self.heads * n * n * 4
        vectors = self.layers * n * self.width * 4
        return {"eager": weights, "TransformerLens": 2 * weights + 40 * vectors}.get(method, 0) > GUARD


_BERT = ("bert.encoder.layer", "attention.self")
SHAPES = {
    "minilm": Shape("MiniLM 6 × 12, d 384", "BertForMaskedLM", "BertConfig", 6, 12, 384, _BERT,
                    {"intermediate_size": 1536}),
    "gpt2": Shape("GPT-2 small 12 × 12, d 768", "GPT2LMHeadModel", "GPT2Config", 12, 12, 768, ("transformer.h", "attn")),
    "smollm2": Shape("SmolLM2-135M 30 × 9 (3 kv), d 576", "LlamaForCausalLM", "LlamaConfig", 30, 9, 576,
                     ("model.layers", "self_attn"),
                     {"num_key_value_heads": 3, "intermediate_size": 1536, "tie_word_embeddings": True}),
}  # fmt: skip
TINY = Shape("tiny 2 × 2, d 16", "BertForMaskedLM", "BertConfig", 2, 2, 16, _BERT, {"intermediate_size": 32})
LENGTHS = (512, 1024, 2048, 4096)


def _plain(shape: Shape, n: int) -> Run:
    model = shape.build(n)
    return lambda ids: model(input_ids=ids, use_cache=False) and ()


def _headlight(shape: Shape, n: int) -> Run:
    """As it is used: prepared, recorded with hidden states and logits."""
    from model.checkpoints.record import forward

    model = forward.prepare(shape.build(n))

    def run(ids: Any) -> Kept:
        store = forward.record(model, {"input_ids": ids}).store
        return [store[name] for name in store.names() if not name.startswith("parameters/")]

    return run


def _eager(shape: Shape, n: int) -> Run:
    model = shape.build(n, "eager")
    return lambda ids: model(input_ids=ids, use_cache=False, output_attentions=True).attentions


def _transformer_lens(shape: Shape, n: int) -> Run:
    from tokenizers import Tokenizer, models
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(1000)}, unk_token="w0"))
    special = {f"{kind}_token": f"w{i}" for i, kind in enumerate(("unk", "pad", "bos", "eos", "mask"))}
    reads = PreTrainedTokenizerFast(tokenizer_object=words, name_or_path="words", add_bos_token=True, **special)
    bridge = TransformerBridge.boot_transformers("words", hf_model=shape.build(n), tokenizer=reads, device="cpu")
    return lambda ids: bridge.run_with_cache(ids, use_cache=False)[1].values()


def _nnsight(shape: Shape, n: int) -> Run:
    """Queries, keys and values, as the fused kernel gets them."""
    import nnsight

    model = nnsight.NNsight(shape.build(n))
    layers, attention = shape.attention
    places = [attrgetter(attention)(layer) for layer in attrgetter(layers)(model)]

    def run(ids: Any) -> Kept:
        with model.trace(input_ids=ids, use_cache=False):
            kept = nnsight.save([])
            for place in places:
                kept.extend(place.source.attention_interface_1.inputs[0][1:4])
        return kept

    return run


Kept = Iterable[Any]  # tensors
Run = Callable[[Any], Kept]  # ids [1, n] -> what the method keeps of the forward
PLAIN, AGAIN = "plain", "noise"  # the same forward, twice a round
OURS, FRESH = (
    "Headlight",
    "first run",
)  # the same recording, into memory that earlier rounds have freed and into new pages
METHODS: dict[str, Callable[[Shape, int], Run]] = {
    PLAIN: _plain, OURS: _headlight, "eager": _eager, "TransformerLens": _transformer_lens, "nnsight": _nnsight,
}  # fmt: skip
PACKAGES = {"TransformerLens": "transformer_lens", "nnsight": "nnsight"}


def missing(shape: Shape, n: int, method: str) -> str:
    """What stands in the cell of a method that is not run at this length; empty if it is."""
    if method in PACKAGES and importlib.util.find_spec(PACKAGES[method]) is None:
        return "not installed"
    return "–" if shape.too_large(method, n) else ""


def _ids(n: int) -> Any:
    import torch

    torch.set_num_threads(1)
    return torch.randint(4, 1000, (1, n), generator=torch.Generator().manual_seed(1))


def timed(shape: Shape, n: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """method -> (CPU seconds, wall seconds) of each round."""
    import torch

    ids, shuffle = _ids(n), Random(0)
    ready = {name: start(shape, n) for name, start in METHODS.items() if not missing(shape, n, name)}
    ready[AGAIN], ready[FRESH] = ready[PLAIN], ready[OURS]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
    order = list(ready)
    with torch.no_grad():
        for run in ready.values():
            run(ids[:, :32])
        for _ in range(rounds):
            shuffle.shuffle(order)
            for name in order:
                gc.collect()
                if name == FRESH:
                    _give_back()
                cpu, wall = time.process_time(), time.perf_counter()
                kept = ready[name](ids)
                times[name].append((time.process_time() - cpu, time.perf_counter() - wall))
                del kept  # letting go is no part of recording
    return times


def _give_back() -> None:
    """Return what is freed to the system, so that the next run fetches every page anew (glibc only)."""
    ctypes.CDLL(None).malloc_trim(0)


def memory(shape: Shape, n: int, method: str) -> tuple[int, int]:
    """(peak bytes above the loaded model while running, bytes kept by what the method returns)."""
    import torch

    ids = _ids(n)
    run = METHODS[method](shape, n)
    with torch.no_grad():
        run(ids[:, :32])
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = _status("VmRSS")
        kept = list(run(ids))
        storages = {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes() for part in kept}
        return _status("VmHWM") - before, sum(storages.values())


def _status(name: str) -> int:
    """Bytes that the kernel reports for this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measure(shape: Shape, lengths: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """One row a length: the shape's title, n, and by method what was measured or why it was not."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers.modeling_utils", "model.checkpoints.record.forward"])
    linux = Path("/proc/self/clear_refs").exists()
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as fresh:
        for n in lengths:
            times = fresh.submit(timed, shape, n, 7 if n <= 512 else 5 if n <= 1024 else 3).result()
            row: dict[str, Any] = {"shape": shape.title, "n": n, "methods": {m: missing(shape, n, m) for m in METHODS}}
            for name, taken in times.items():
                cell: dict[str, Any] = {"cpu": [cpu for cpu, _ in taken], "wall": [wall for _, wall in taken]}
                if linux and name in METHODS:
                    cell["peak"], cell["kept"] = fresh.submit(memory, shape, n, name).result()
                row["methods"][name] = cell
            yield row


def ratio(row: dict[str, Any], method: str, clock: str) -> float:
    """Median over the rounds of this method's seconds against the mean of the round's two plain forwards."""
    own, plain, again = (row["methods"][name][clock] for name in (method, PLAIN, AGAIN))
    return statistics.median(2 * a / (b + c) for a, b, c in zip(own, plain, again, strict=True))


def _time(row: dict[str, Any], method: str) -> str:
    if method == PLAIN:
        return f"{statistics.median(row['methods'][PLAIN]['cpu']):.3g} s"
    if method == AGAIN:  # the two plain forwards of a round differ by chance alone: the median factor between them
        pairs = zip(*(row["methods"][name]["cpu"] for name in (PLAIN, AGAIN)), strict=True)
        return f"{statistics.median(max(pair) / min(pair) for pair in pairs):.2f}×"
    return f"{ratio(row, method, 'cpu'):.2f}× ({ratio(row, method, 'wall'):.2f}×)"


def _memory(row: dict[str, Any], method: str) -> str:
    cell = row["methods"][method]
    return f"{cell['peak'] / MIB:,.0f} ({cell['kept'] / MIB:,.0f})" if "peak" in cell else "–"


def report(rows: list[dict[str, Any]]) -> str:
    """Two tables in Markdown: seconds, then memory."""
    lines = []
    for title, cell, names in (
        (
            "CPU seconds against the plain forward (wall seconds):",
            _time,
            [PLAIN, AGAIN, OURS, FRESH, *list(METHODS)[2:]],
        ),
        ("Peak MiB above the loaded model (MiB kept):", _memory, list(METHODS)),
    ):
        lines += ["", title, "", f"| shape | n | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
        for row in rows:
            found = [row["methods"][name] for name in names]
            texts = [why if isinstance(why, str) else cell(row, name) for name, why in zip(names, found, strict=True)]
            lines += [f"| {row['shape']} | {row['n']:,} | {' | '.join(texts)} |"]
    return "\n".join(lines[1:])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.recording")
    parser.add_argument("--quick", action="store_true", help="a tiny shape: whether everything runs, no figures")
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--length", type=int, action="append")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    shapes = [TINY] if options.quick else [SHAPES[name] for name in options.shape or SHAPES]
    lengths = tuple(options.length or ((64,) if options.quick else LENGTHS))
    rows = []
    for shape in shapes:
        for row in measure(shape, lengths):
            rows.append(row)
            print(f"{row['shape']}, n = {row['n']}: {_time(row, OURS)}", file=sys.stderr)
            if options.json:  # minutes of work are not lost to the last row
                options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(report(rows))


if __name__ == "__main__":
    main()
