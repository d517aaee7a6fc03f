"""What a KV cache saves: multiply–accumulates a step by formula, counted on a real run, and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from viz.base import export, numbers
from viz.ui.generation.common import job, needs_model, number
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.generation.decoder import Decoder
    from model.generation.kv_cache_cost import Shapes
    from model.trace.trace import Trace
    from viz.base.check_note import CheckNote

_LONGEST, _FIRST = 512, 32


def show(trace: Trace, model: Any, decoder: Decoder | None, controls: Any) -> None:
    """How long a text is written, what each step costs either way, and how large the cache grows."""
    from model.errors import HeadlightError

    if decoder is None:
        needs_model()
        return
    try:
        sizes: Shapes = job("cache", (trace.key,), lambda: shapes(trace, model))
    except (ValueError, HeadlightError):
        st.info(say("generation.cache_none"), icon=":material/info:")
        return
    prompt = len(decoder.start)
    window = getattr(getattr(model.module, "config", None), "sliding_window", None) or _LONGEST + prompt
    most = min(_LONGEST, decoder.longest - prompt, window - prompt)  # a window's cache grows no further than the window
    with controls:
        count = number("cache_steps", 2, most, min(most, _FIRST), f"@{trace.key.model}")
    steps = sizes.steps(prompt, count)
    _figures(trace, model, sizes, steps)


def shapes(trace: Trace, model: Any) -> Shapes:
    """The sizes of the opened model's decoder."""
    import torch

    from model.checkpoints.library import generate
    from model.generation import kv_cache_cost

    if not model_list.is_ours(view.model_of(trace)):
        once = generate.head_once(model)
        head = model.module.get_output_embeddings()
        return kv_cache_cost.shapes(trace, model.module, head, lambda n, s: generate.probe(model, n, s), once)
    module = model.module

    def run(n: int, s: int) -> None:
        with model.lock:
            read = (torch.zeros(1, s, module.config.d_model), torch.ones(1, s, dtype=torch.long))
            module.decode(torch.ones(1, n, dtype=torch.long), *(read if module.encoder else ()))

    return kv_cache_cost.shapes(trace, module, module.project, run, False)


def counted(trace: Trace, model: Any, n: int) -> tuple[int, int]:
    """What PyTorch's counter sees in a real step after n tokens, without and with a cache."""
    import torch

    from model.checkpoints.library import generate
    from model.generation import kv_cache_cost
    from model.trace.record_own import ids_of
    from model.transformer import kv_cache

    if not model_list.is_ours(view.model_of(trace)):
        plain, cached = generate.real_steps(model, trace, n)
        return kv_cache_cost.counted(plain), kv_cache_cost.counted(cached)
    module, ids = model.module, trace.token_ids("decoder")[:n]
    source, _ = ids_of(trace)
    with model.lock, torch.no_grad():
        read, text = () if source is None else (module.encode(source[None]), source[None]), torch.tensor([ids])
        first = kv_cache_cost.counted(lambda: module.decode(text, *read))
        if not kv_cache.CachedDecoder.possible(module):
            raise ValueError("relative positions have no cached step here")
        cached = kv_cache.CachedDecoder(module, source)
        for number_ in ids[:-1]:
            cached.step(number_)
        return first, kv_cache_cost.counted(lambda: cached.step(ids[-1]))


def _figures(trace: Trace, model: Any, sizes: Shapes, steps: list[tuple[int, int, int, int]]) -> None:
    from model.generation import kv_cache_cost
    from viz.generation import cost_charts

    names = ("step", "without", "with", "macs", "bytes", "standing")
    words = {name: say(f"generation.{name}") for name in names}
    words |= {"alt": say("generation.cost_what"), "alt_bytes": say("generation.bytes_what")}
    without, cached = (sum(row[i] for row in steps) for i in (1, 2))
    columns = st.columns(4)
    columns[0].metric(say("generation.total_without"), big(without))
    columns[1].metric(say("generation.total_with"), big(cached))
    columns[2].metric(say("generation.saved"), f"{without / cached:.3g} ×")
    columns[3].metric(say("generation.size"), numbers.size(steps[-1][3], binary=True))
    page_text.heading("generation.cost_name")
    chart = cost_charts.cost_lines(steps, words)
    st.altair_chart(chart)
    st.latex(_formula(sizes, steps[-1][0]))
    st.caption(say("generation.letters") + (" " + say("generation.letters_source") if sizes.length else ""))
    slug = f"{figure_footer.safe(trace.key.model)}-cache"

    def csv() -> bytes:
        return export.matrix_csv(np.array(steps), [str(i + 1) for i in range(len(steps))],
                                 ["tokens", "macs_without", "macs_with", "cache_bytes"])  # fmt: skip

    sentence, badge = _checked(trace, model, sizes)
    figure_footer.draw(
        "generation-cost",
        sentence,
        badge,
        lambda: {f"{slug}.csv": csv},
        lambda: chart,
        [kv_cache_cost.Shapes.without, kv_cache_cost.Shapes.with_cache, kv_cache_cost.shapes, kv_cache_cost.counted],
    )
    page_text.heading("generation.bytes_name")
    growth = cost_charts.byte_line(steps, words)
    st.altair_chart(growth)
    said = say("generation.bytes_sentence", token=numbers.size(sizes.token_bytes, binary=True))
    if sizes.length:
        said += " " + say(
            "generation.bytes_source", source=numbers.size(sizes.source_bytes * sizes.length, binary=True)
        )
    record = trace.record(next(site for site in trace.sites if site.stack == "decoder" and site.kind == "self"))
    shared = trace.store.shape(f"{record.site}.k")[0]
    if shared < record.heads:
        said += " " + say("generation.bytes_shared", h=record.heads, kv=shared)
    figure_footer.draw("generation-bytes", said, figure_footer.run_badge(trace), lambda: {f"{slug}-bytes.csv": csv},
              lambda: growth, [kv_cache_cost.Shapes.cache_bytes, kv_cache_cost.shapes])  # fmt: skip


def _checked(trace: Trace, model: Any, sizes: Shapes) -> tuple[str, CheckNote]:
    """The formula against a real step of this text."""
    n = len(trace.side("decoder").tokens)
    if n < 2:
        return say("generation.cost_sentence"), figure_footer.run_badge(trace)
    try:
        first, second = job("counted", (trace.key,), lambda: counted(trace, model, n))
    except ValueError:
        return say("generation.cost_sentence"), figure_footer.run_badge(trace)
    formula = sizes.without(n), sizes.with_cache(n)
    error = max(abs(a - b) / b for a, b in zip(formula, (first, second), strict=True))
    said = say("generation.cost_counted", n=n, without=f"{first:,}", cached=f"{second:,}", formula=f"{formula[0]:,}",
               formula_cached=f"{formula[1]:,}")  # fmt: skip
    return f"{say('generation.cost_sentence')} {said}", figure_footer.fidelity_badge(error, 0.02, trace)


def _formula(sizes: Shapes, n: int) -> str:
    s, rows = sizes.length, "H" if sizes.head_once else "n H"
    extra, cross = (r" + s S + n s C", r" + s C") if s else ("", "")
    plain = rf"\text{{without}}(n) &= n L{extra} + n^2 A + {rows} = {grouped(sizes.without(n))}"
    cached = rf"\text{{with}}(n) &= L{cross} + n A + H = {grouped(sizes.with_cache(n))}"
    values = rf"n={n},\; L={grouped(sizes.token)},\; A={grouped(sizes.pair)},\; H={grouped(sizes.head)}"
    values += rf" \\ &s={s},\; S={grouped(sizes.source)},\; C={grouped(sizes.cross)}" if s else ""
    return rf"\begin{{aligned}}{plain} \\ {cached} \\ &{values}\end{{aligned}}"


def grouped(value: int) -> str:
    """1234567 -> 1{,}234{,}567, which LaTeX sets without a gap."""
    return f"{value:,}".replace(",", "{,}")


def big(value: float) -> str:
    """1,234,567 -> 1.23 M: thousands, millions, …"""
    for letter, power in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= power:
            return f"{numbers.short(value / power)} {letter}"
    return numbers.short(value)
