"""The page Generation: how the next token is chosen, one way of decoding at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from model.sites import Site
from viz import tokens
from viz.ui import dials, frame, language, recording, runs, session, work
from viz.ui.language import say
from viz.ui.widgets import mirror, parts

if TYPE_CHECKING:
    import numpy as np

    from model.decoding import Writer
    from model.record import AttentionRecord
    from model.trace import Trace

WAYS = ("greedy", "beams", "sampling", "cache")
# Pixels of a slider: three stand in a row, and wrap where there is less room.
WIDTH = 200
_NEW = 12


def show(trace: Trace) -> None:
    """The choice of how to write and that way's figures; one sentence where the model writes nothing."""
    from viz.ui import generation_beams, generation_cache, generation_greedy, generation_sampling

    if "decoder" not in trace.sides or not trace.predicts or not trace.written():
        st.info(say("generation.none"), icon=":material/info:")
        frame.link("output", say("output.name"))
        return
    way = parts("generation", say("generation.ways"), WAYS, "greedy", lambda w: say(f"generation.way_{w}"))
    st.markdown(say(f"generation.about_{way}"))
    model = session.current_model()
    controls = st.container(horizontal=True, gap="small", key="generation-controls")
    try:
        with controls:
            written = _continued(trace, model) if way in ("greedy", "sampling") else trace
        asked = writer(model, written)
        panels: dict[str, Callable[[Trace, Any, Writer | None, Any], None]] = {
            "greedy": generation_greedy.show, "beams": generation_beams.show, "sampling": generation_sampling.show,
            "cache": generation_cache.show,
        }  # fmt: skip
        panels[way](written, model, asked, controls)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")


def _continued(trace: Trace, model: Any) -> Trace:
    """The run, of a decoder with a continuation: a text without one has nothing that was written."""
    if "encoder" in trace.sides or trace.facts.get("generated") or not _writes(model) or session.view().new:
        return trace
    new = number("new", 1, 40, _NEW, f"@{trace.key.model}")
    chat = bool(dict(trace.key.options).get("chat"))

    def run() -> Trace:
        found = model.trace(trace.key.source, chat=chat, new_tokens=new)
        found.fidelity(plain=False)
        return found

    return job("continued", (trace.key, new), run)


def _writes(model: Any) -> bool:
    from model.checkpoints import writing

    return model is not None and recording.is_library_model(model) and writing.writes(model)


def writer(model: Any, trace: Trace) -> Writer | None:
    """What asks the model for more, None for a saved run and for models that only their own package can run."""
    from model import decoding
    from model.checkpoints import writing
    from model.checkpoints.own import OwnModel

    if isinstance(model, OwnModel):
        return decoding.own_writer(model, trace)
    return writing.writer(model, trace) if _writes(model) else None


def needs_model() -> None:
    """One sentence where only a saved run is there, or a model that cannot be asked."""
    st.info(say("generation.no_model"), icon=":material/info:")


def number(name: str, low: int, high: int, first: int, of: str = "", **told: Any) -> int:
    """A whole number on a slider; what a wider range had left in it is brought back inside."""
    if low >= high:
        return low
    how = dials.between(f"generation-{name}{of}", min(max(low, first), high), low, high) | told
    return int(st.slider(say(f"generation.{name}"), low, high, width=WIDTH, **how))


def heading(part: str, **values: object) -> None:
    """A figure's name and what one looks at in it."""
    st.markdown(f"#### {say(f'generation.{part}_name')}  \n{say(f'generation.{part}_what', **values)}")


def job(kind: str, asked: tuple[Any, ...], do: Callable[[], Any]) -> Any:
    """Long work of this page, its last result kept; `asked` is all that it depends on."""
    return work.kept("generation", kind, asked, do, say(f"generation.wait_{kind}"))


def joined(trace: Trace, texts: Sequence[str]) -> str:
    """Tokens as one text: ours are words, a library's carry their own spaces."""
    return ("" if runs.is_library(trace) else " ").join(texts)


def reads(trace: Trace) -> Callable[[int], str]:
    """How an id reads."""

    def read(number: int) -> str:
        vocabulary = trace.vocabulary
        return tokens.readable(vocabulary[number] if number < len(vocabulary) else f"#{number}")

    return read


def head_pickers(trace: Trace) -> tuple[int, int]:
    """Layer and head of the decoder; each is the app's own selection."""
    layer, head = chosen_head(trace)
    layers = sorted({site.layer for site in trace.sites if site.stack == "decoder"})
    heads = range(trace.record(f"decoder.{layer}.self").heads)
    for name, options, now in (("layer", layers, layer), ("head", heads, head)):
        key = mirror(f"generation-{name}", now)
        st.selectbox(say(f"generation.{name}"), options, key=key, on_change=_choose, args=(trace, name, key), width=110)
    return layer, head


def chosen_head(trace: Trace) -> tuple[int, int]:
    """The selection where it is in the decoder, else that of the best head, else the first."""
    site, head = Site.parse(session.view().site), session.view().head
    if site.stack != "decoder":
        site, head = runs.best_head(trace)
    if site.stack != "decoder":
        site, head = Site("decoder", 0, "self"), 0
    return site.layer, min(head, trace.record(f"decoder.{site.layer}.self").heads - 1)


def _choose(trace: Trace, name: str, key: str) -> None:
    layer, head = chosen_head(trace)
    layer, head = (st.session_state[key], head) if name == "layer" else (layer, st.session_state[key])
    now = Site.parse(session.view().site)
    kind = now.kind if now.stack == "decoder" else "cross" if "encoder" in trace.sides else "self"
    session.change(
        site=f"decoder.{layer}.{kind}", head=min(head, trace.record(f"decoder.{layer}.self").heads - 1), heads=""
    )


def attention_rows(
    records: Mapping[Site, AttentionRecord], layer: int, head: int, row: int, texts: Mapping[str, Sequence[str]]
) -> dict[str, tuple[np.ndarray, Any]]:
    """kind ("self", "cross") -> (weights [k] of one row, its chart)."""
    from viz import generation

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
        found[kind] = (weights, generation.key_bars(list(texts[side])[: len(weights)], weights, words))
    return found


def show_rows(found: dict[str, tuple[np.ndarray, Any]], layer: int, head: int) -> None:
    """Self-attention and, where there is one, cross-attention of one step."""
    for kind, (_, chart) in found.items():
        st.markdown(f"**{say(f'generation.row_{kind}')}**  \n{say('generation.row_where', layer=layer, head=head)}")
        st.altair_chart(chart)


def chips(texts: Sequence[str], last: str | None = None, most: int = 28) -> None:
    """Tokens in reading order, of a long text its end, and the one that comes next."""
    from viz.ui.panels import code

    shown = [code(text) for text in texts[-most:]]
    before = [say("generation.more_tokens", n=len(texts) - most)] if len(texts) > most else []
    after = [f"→ :orange-background[{code(last)}]"] if last is not None else []
    st.markdown(" ".join([*before, *shown, *after]))
