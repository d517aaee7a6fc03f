"""What the ways of decoding share: their sliders and headings, the head that is shown, rows of its attention, tokens as chips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.trace.site import Site
from viz.base import tokens
from viz.ui.language import say
from viz.ui.shared import page_text
from viz.ui.shared.widgets import mirror
from viz.ui.state import current_run, jobs, page_controls, view

if TYPE_CHECKING:
    import numpy as np

    from model.trace.attention_record import AttentionRecord
    from model.trace.trace import Trace


# Pixels of a slider: three stand in a row, and wrap where there is less room.
WIDTH = 200


def needs_model() -> None:
    """One sentence where only a saved run is there, or a model that cannot be asked."""
    st.info(say("generation.no_model"), icon=":material/info:")


def number(name: str, low: int, high: int, first: int, of: str = "", **options: Any) -> int:
    """A whole number on a slider; what a wider range had left in it is brought back inside."""
    if low >= high:
        return low
    how = page_controls.between(f"generation-{name}{of}", min(max(low, first), high), low, high) | options
    return int(st.slider(say(f"generation.{name}"), low, high, width=WIDTH, **how))


def job(kind: str, key: tuple[Any, ...], do: Callable[[], Any]) -> Any:
    """Long work of this page, its last result kept; `key` is all that it depends on."""
    return jobs.cached("generation", kind, key, do, say(f"generation.wait_{kind}"))


def joined(trace: Trace, texts: Sequence[str]) -> str:
    """Tokens as one text: ours are words or letters, a library's carry their own spaces."""
    return trace.between.join(texts)


def reads(trace: Trace) -> Callable[[int], str]:
    """How an id reads."""

    def read(number: int) -> str:
        vocabulary = trace.vocabulary
        return tokens.readable(vocabulary[number] if number < len(vocabulary) else f"#{number}")

    return read


def head_pickers(trace: Trace) -> tuple[int, int]:
    """Layer and head of the decoder; each is the app's own selection."""
    layer, head = chosen_head(trace)
    layers = sorted({site.layer for site in trace.sites if site.stack == "decoder"}, reverse=True)
    heads = range(trace.record(f"decoder.{layer}.self").heads)
    for name, options, now in (("layer", layers, layer), ("head", heads, head)):
        key = mirror(f"generation-{name}", now)
        st.selectbox(say(f"generation.{name}"), options, key=key, on_change=_choose, args=(trace, name, key), width=110)
    return layer, head


def chosen_head(trace: Trace) -> tuple[int, int]:
    """The selection where it is in the decoder, else that of the best head, else the first."""
    site, head = Site.parse(view.current().site), view.current().head
    if site.stack != "decoder":
        site, head = current_run.best_head(trace)
    if site.stack != "decoder":
        site, head = Site("decoder", 0, "self"), 0
    return site.layer, min(head, trace.record(f"decoder.{site.layer}.self").heads - 1)


def _choose(trace: Trace, name: str, key: str) -> None:
    layer, head = chosen_head(trace)
    layer, head = (st.session_state[key], head) if name == "layer" else (layer, st.session_state[key])
    now = Site.parse(view.current().site)
    kind = now.kind if now.stack == "decoder" else "cross" if "encoder" in trace.sides else "self"
    view.change(
        site=f"decoder.{layer}.{kind}", head=min(head, trace.record(f"decoder.{layer}.self").heads - 1), heads=""
    )


def attention_rows(
    records: Mapping[Site, AttentionRecord], layer: int, head: int, row: int, texts: Mapping[str, Sequence[str]]
) -> dict[str, tuple[np.ndarray, Any]]:
    """kind ("self", "cross") -> (weights [k] of one row, its chart)."""
    from viz.generation import charts as generation_charts

    found = {}
    for kind, side in (("self", "decoder"), ("cross", "encoder")):
        record = records.get(Site("decoder", layer, kind))
        if record is None:
            continue
        weights = record.weights(min(head, record.heads - 1), slice(row, row + 1))[0].numpy()
        weights = weights[: row + 1] if kind == "self" else weights
        words = {"key": say("generation.key"), "weight": say("generation.weight"), "rest": say("generation.rest_keys"),
                 "place": say("generation.key_place")}  # fmt: skip
        words["alt"] = say("generation.alt_row", kind=say(f"site.{kind}"), row=row)
        found[kind] = (weights, generation_charts.key_bars(list(texts[side])[: len(weights)], weights, words))
    return found


def show_rows(attention_rows: dict[str, tuple[np.ndarray, Any]], layer: int, head: int) -> None:
    """Self-attention and, where there is one, cross-attention of one step."""
    for kind, (_, chart) in attention_rows.items():
        page_text.heading(f"generation.row_{kind}", "generation.row_where", small=True, layer=layer, head=head)
        st.altair_chart(chart)


def chips(texts: Sequence[str], last: str | None = None, most: int = 28) -> None:
    """Tokens in reading order, of a long text its end, and the one that comes next."""
    shown = [page_text.code(text) for text in texts[-most:]]
    before = [say("generation.more_tokens", n=len(texts) - most)] if len(texts) > most else []
    after = [f"→ :orange-background[{page_text.code(last)}]"] if last is not None else []
    st.markdown(" ".join([*before, *shown, *after]))
