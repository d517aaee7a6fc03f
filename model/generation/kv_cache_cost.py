"""What a KV cache saves: multiply–accumulates of a decoder's matrix products, by formula from its shapes.

With n tokens standing and s source tokens, writing the next one takes

    without:  n·L + s·S + n²·A + n·s·C + r·H        every row again; r = 1, or n where the head runs on every row
    with:     L + n·A + s·C + H                     one row; keys and values of the others are looked up

L: weights of the decoder's linear maps that a token goes through. S: those of cross-attention's keys and values, once a
source token. A = Σ layers h·(d_k + d_v): a query with a key. C: the same of cross-attention. H = d·V. The first step
with a cache reads the whole prompt. The encoder runs once either way and is left out; so are softmax, norms and sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from model.trace.trace import Trace

_ON_CPU = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)


@dataclass(frozen=True)
class Shapes:
    """The sizes of the formula above: weights (token, source, head), numbers a pair (pair, cross), bytes that the cache
    holds for a written token and for a source token, the source's length, and whether the output head runs on the last row
    alone."""

    token: int
    source: int
    head: int
    pair: int
    cross: int
    token_bytes: int
    source_bytes: int
    length: int
    head_once: bool = True

    def without(self, n: int) -> int:
        """Multiply–accumulates of a step that runs all n tokens again."""
        pairs = n * n * self.pair + n * self.length * self.cross
        return n * self.token + self.length * self.source + pairs + (1 if self.head_once else n) * self.head

    def with_cache(self, n: int, new: int = 1) -> int:
        """Of a step that runs the last `new` of n tokens; where new = n, the cache is still empty."""
        made = self.length * self.source if new == n else 0
        pairs = new * n * self.pair + new * self.length * self.cross
        return new * self.token + made + pairs + (1 if self.head_once else new) * self.head

    def steps(self, prompt: int, count: int) -> list[tuple[int, int, int, int]]:
        """(tokens standing, without, with, bytes of the cache after it) of each of `count` steps after the prompt."""
        found = []
        for n in range(prompt, prompt + count):
            found.append((n, self.without(n), self.with_cache(n, n if n == prompt else 1), self.cache_bytes(n)))
        return found

    def cache_bytes(self, n: int) -> int:
        """Bytes of the keys and values of n tokens and of the source."""
        return n * self.token_bytes + self.length * self.source_bytes


def shapes(
    trace: Trace, module: nn.Module, head: nn.Module | None, run: Callable[[int, int], Any], head_once: bool = True
) -> Shapes:
    """The sizes of a model, of its recorded attention and of one small run.

    head: the output head. run(n, s): one forward of the decoder alone on n tokens and s source rows; which linear map
    sees which of them is read there. Raises ValueError for a map that sees neither.
    """
    n, s = 3, 5
    weights = {n: 0, s: 0}
    hooks = [part.register_forward_hook(_count(weights, part is head)) for part in module.modules() if _is_linear(part)]
    try:
        with torch.no_grad():
            run(n, s)
    finally:
        for hook in hooks:
            hook.remove()
    if unknown := set(weights) - {n, s}:
        raise ValueError(
            f"a linear map sees {min(unknown)} rows, neither the {n} of the text nor the {s} of its source"
        )
    size = next(iter(module.parameters())).element_size()
    sums = {(kind, what): 0 for kind in ("self", "cross") for what in ("pair", "bytes")}
    for site in trace.sites:
        if site.stack == "decoder":
            record = trace.record(site)
            (h, _, d_v), d_k = trace.store.shape(f"{site}.v"), record.d_k
            sums[site.kind, "pair"] += record.heads * (d_k + d_v)
            sums[site.kind, "bytes"] += h * (d_k + d_v) * size
    length = len(trace.side("encoder").tokens) if "encoder" in trace.sides else 0
    out = 0 if head is None else head.weight.numel()
    return Shapes(weights[n], weights[s], out, sums["self", "pair"], sums["cross", "pair"], sums["self", "bytes"],
                  sums["cross", "bytes"], length, head_once)  # fmt: skip


def _is_linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"  # the library's own, of GPT-2's age


def _count(weights: dict[int, int], head: bool) -> Callable[..., None]:
    def count(part: nn.Module, args: tuple[Tensor, ...], _output: object) -> None:
        if not head:
            rows = args[0].numel() // args[0].shape[-1]
            weights[rows] = weights.get(rows, 0) + part.weight.numel()

    return count


def counted(run: Callable[[], Any]) -> int:
    """Multiply–accumulates that PyTorch's own counter sees in a real run; it counts two operations for each.

    Raises ValueError where the counter gives up: it cannot follow a piece of a parameter (learned positions of ours).
    """
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping={_ON_CPU: _attention_flops}) as counter:
        try:
            run()
        except AssertionError as error:
            raise ValueError(f"PyTorch's counter gives up: {error}") from error
    return counter.get_total_flops() // 2


def _attention_flops(q: Any, k: Any, v: Any, *_args: Any, **_options: Any) -> int:
    """The fused attention kernel of the CPU, which the counter does not know: q kᵀ and weights · v, masked cells too."""
    b, h, n, d_k = q
    return 2 * b * h * n * k[2] * (d_k + v[3])
