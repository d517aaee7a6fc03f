"""The same input on two checkpoints: which head of the second does what a head of the first does, and what changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.base.shorten import shorten
from viz.ui import language
from viz.ui.compare import counterparts as comparing_heads
from viz.ui.compare import two_heads
from viz.ui.language import say
from viz.ui.shared import figure_footer, second_run
from viz.ui.shared.widgets import mirror
from viz.ui.state import jobs, model_list, random_model_offer, view

if TYPE_CHECKING:
    from pathlib import Path

    from model.trace.trace import Trace

_PREFIX = "model:"
_QUOTED = 200  # characters of an output that a sentence repeats
_PATH, _NOTHING = "comparing-path", "comparing-path-nothing"


def show(trace: Trace) -> None:
    """The second model, how its tokens align, every head with its counterpart, and the selected head on both."""
    if trace.facts.get("reads", "text") != "text":
        st.info(say("comparing.reads_text"))
        return
    random_model_offer.make_asked()
    name = _chosen()
    if not name:
        st.caption(say("comparing.kinds_of_pairs"))
        if view.current().model == "translate":
            random_model_offer.offer("shaw", "comparing-untrained", _against, say("comparing.untrained"))
        return
    if name == view.current().model:
        st.info(say("comparing.same_model"))
        return
    other = _second(trace, name)
    if other is None:
        return
    from model.compare import aligned_runs
    from model.compare import checkpoints as compare_checkpoints

    sides = aligned_runs.aligned_sides(trace, other)
    if trace.key.weights_hash == other.key.weights_hash:
        st.info(say("comparing.same_weights"))
    _output_line(trace, other)
    two_heads.tokens_line(trace, other, sides, "comparing.read_otherwise")
    if not any(each.pairs for each in sides.values()):
        st.info(say("comparing.no_common_token" if sides else "comparing.no_common_side"))
        st.caption(say("comparing.kinds_of_pairs"))
        return
    for run in (trace, other):
        if any(figure_footer.refused(run, site) for site in run.sites):
            return
    found = jobs.cached(
        "comparing",
        "counterparts",
        (trace.key, other.key),
        lambda: compare_checkpoints.counterparts(trace, other, sides),
        say("comparing.wait_counterparts"),
    )
    titles = model_list.title(view.current().model), model_list.title(name)
    comparing_heads.show(trace, other, found, sides, titles)


def _against(path: Path) -> None:
    """Make it the second model; the first stays."""
    view.change(against=f"{_PREFIX}{path}")
    st.rerun()


def _chosen() -> str:
    """The second model by the link or the list, "" where none is chosen."""
    now = view.current()
    told = now.against.removeprefix(_PREFIX) if now.against.startswith(_PREFIX) else ""
    offered = [name for name in model_list.names(told or now.model) if name != now.model and _reads_text(name)]
    key = mirror("comparing_model", told if told in offered else None)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox(
            say("comparing.second_model"), offered, format_func=model_list.described, key=key, index=None, width=420,
            placeholder=say("comparing.second_model_hint"), help=say("comparing.second_model_help"),
            on_change=lambda: view.change(against=_PREFIX + st.session_state[key] if st.session_state[key] else ""),
        )  # fmt: skip
        st.text_input(
            say("comparing.path"), key=_PATH, placeholder=say("models.path_example"), width=420, on_change=_entered,
            help=say("models.path_what"),
        )  # fmt: skip
    if nothing := st.session_state.pop(_NOTHING, ""):
        st.error(say("comparing.path_nothing", path=language.plain(nothing)))
    return told


def _entered() -> None:
    """The checkpoint at the path that was typed becomes the second model; where nothing lies, that is said at the field, and
    there is no second model."""
    path = st.session_state[_PATH].strip().strip('"')
    place = model_list.place(path) if path else None
    if place is not None and place.exists():
        view.change(against=f"{_PREFIX}{place}")
        return
    # What was compared before is not what was asked for.
    view.change(against="")
    if path:
        st.session_state[_NOTHING] = path


def _reads_text(name: str) -> bool:
    known = model_list.entry(name)
    return known is None or known.reads == "text"


def _second(trace: Trace, name: str) -> Trace | None:
    """The second model's run of the same input; what cannot be opened or run is said, and the page stays."""
    if not model_list.openable(name):
        allowed = ", ".join(model_list.found())
        st.warning(say("error.unknown_model", name=language.plain(name), allowed=allowed))
        return None
    try:
        other = second_run.run(_asked(trace), name, lambda model, now: _read_alike(trace, model, now))
    except HeadlightError as error:
        st.warning(f"**B** {language.plain(model_list.title(name))}: {language.explain(error)}")
        st.caption(say("comparing.kinds_of_pairs"))
        return None
    if other is None:
        return None
    if other.facts.get("reads", "text") != "text":
        st.info(say("comparing.reads_text"))
        return None
    side = next(iter(trace.sides))
    if model_list.is_trace(name) and (side not in other.sides or other.side(side).texts != trace.side(side).texts):
        st.info(say("comparing.saved_other_text"))
        return None
    return other


def _asked(trace: Trace) -> view.View:
    """What the first read; of a saved run that is in its record."""
    now = view.current()
    if model_list.is_trace(now.model):
        now = replace(now, text=trace.key.source, target=trace.key.target or "", to=trace.language)
    return now


def _read_alike(trace: Trace, model: Any, now: view.View) -> view.View:
    """What is asked of the second model, once it is open: where both write and have one vocabulary, it reads what the first
    wrote, in its language. A language that it does not write is left to it."""
    from model.compare.same_output import written_for

    written = written_for(trace, model)
    known = now.to or (trace.language if written else "")
    return replace(
        now, target=now.target or written or "", to=known if known in getattr(model, "languages", ()) else ""
    )


def _output_line(trace: Trace, other: Trace) -> None:
    """Whether the two decoders read the same; nothing where one has no decoder beside its encoder."""
    if any({"encoder", "decoder"} - run.sides.keys() for run in (trace, other)) or trace.key.target:
        return
    same = trace.side("decoder").texts == other.side("decoder").texts
    written = (trace if same else other).side("decoder").texts[1:]
    text = language.plain(shorten((trace if same else other).between.join(written).strip(), _QUOTED))
    st.caption(say("comparing.b_reads" if same else "comparing.b_writes", text=text))
