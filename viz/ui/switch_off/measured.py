"""Real runs for the page, each in a job with progress and Stop: the edited run, random heads, every head off, the meter."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations, product
from math import comb, prod
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError, Stopped
from viz.ui import language
from viz.ui.language import say
from viz.ui.state import current_run, jobs, view

if TYPE_CHECKING:
    from model.attribution.meter import Meter
    from model.attribution.metric import Metric
    from model.edits.off import Off
    from model.trace.trace import Trace

DRAWS = 20
_STOPPED = "switch-stopped"


def made(kind: str, key: tuple[Any, ...], work: Callable[[], Any], title: str) -> Any:
    """What `work` gives, kept in the session; None where it was stopped or cannot be done, which is said."""
    if st.session_state.get(_STOPPED) == (kind, key) and not jobs.has_result("switch", kind, key):
        _stopped(kind)
        return None
    try:
        return jobs.cached("switch", kind, key, work, title)
    except Stopped:
        st.session_state[_STOPPED] = (kind, key)
        _stopped(kind)
    except HeadlightError as error:
        st.info(language.explain(error), icon=":material/info:")
    except ValueError as error:  # too few edges between the bounds
        st.info(say("switch_off.too_few", reason=str(error)), icon=":material/info:")
    return None


def _stopped(kind: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(say("switch_off.stopped"), icon=":material/stop_circle:", width="stretch")
        st.button(say("note.run"), key=f"switch-again-{kind}", on_click=lambda: st.session_state.pop(_STOPPED, None))


def edited(trace: Trace, edits: list[str]) -> tuple[Trace, Trace] | None:
    """(the run with the edits, in which the model writes anew; the same over the tokens of the run without them)."""
    model, now = current_run.model(), view.current()

    def work() -> tuple[Trace, Trace]:
        forced = model.again(trace, [edit for edit in edits if not edit.startswith("patch")])
        if not trace.facts.get("generated", False):
            return forced, forced
        return model.trace(now.text, now.target or None, edits=edits, **_asked(model, now)), forced

    return made("edited", (trace.key, tuple(edits)), work, say("switch_off.waiting"))


def _asked(model: Any, now: view.View) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if getattr(model, "languages", None):
        asked["language"] = now.to or None
    if now.new:
        asked["new_tokens"] = now.new
    return asked


def random_heads(trace: Trace, metric: Metric, off: list[Off]) -> list[float] | None:
    """The change of the number with as many other heads of the same layers off: `DRAWS` random draws, or every choice where there
    are fewer; None where a layer has no others."""
    wanted: dict[str, set[int]] = {}
    for edit in off:
        for site, record in trace.attention.items():
            if edit.heads.at(site):
                wanted.setdefault(str(site), set()).update(edit.heads.of(record.heads))
    others = {
        site: [head for head in range(trace.record(site).heads) if head not in mine] for site, mine in wanted.items()
    }
    if not wanted or any(len(others[site]) < len(mine) for site, mine in wanted.items()):
        return None
    model, how = current_run.model(), ":mean" if all(edit.how == "mean" for edit in off) else ""

    def work() -> list[float]:
        from model.jobs.progress import tick

        draws, plain, found = (
            _draws(others, {site: len(mine) for site, mine in wanted.items()}),
            metric.value(trace),
            [],
        )
        for done, draw in enumerate(draws):
            tick("runs", done / len(draws))
            found.append(metric.value(model.again(trace, [f"off:{site}.{head}{how}" for site, head in draw])) - plain)
        return found

    key = (trace.key, metric, tuple((site, tuple(sorted(mine))) for site, mine in sorted(wanted.items())), how)
    return made("control", key, work, say("switch_off.waiting_control", n=DRAWS))


def _draws(others: dict[str, list[int]], counts: dict[str, int]) -> list[list[tuple[str, int]]]:
    """Choices of so many of the other heads of each sub-layer, none twice: all of them where they are few."""
    if prod(comb(len(others[site]), count) for site, count in counts.items()) <= DRAWS:
        each = [
            [[(site, head) for head in chosen] for chosen in combinations(others[site], count)]
            for site, count in counts.items()
        ]
        return [[pair for part in choice for pair in part] for choice in product(*each)]
    drawn, found = random.Random(0), set()
    while len(found) < DRAWS:
        choice = {site: sorted(drawn.sample(others[site], count)) for site, count in counts.items()}
        found.add(tuple((site, head) for site, heads in choice.items() for head in heads))
    return [list(draw) for draw in sorted(found)]


def every_head(trace: Trace, metric: Metric, how: str) -> list[tuple[str, int, float]] | None:
    """(site, head, change of the number) of every head off alone."""
    model = current_run.model()

    def work() -> list[tuple[str, int, float]]:
        from model.attribution.heads_off import effects

        return [(str(site), head, effect) for site, head, effect in effects(model, trace, metric, how=how)]

    count = sum(record.heads for record in trace.attention.values())
    return made("heads", (trace.key, metric, how), work, say("switch_off.waiting_heads", n=count))


def trust(trace: Trace, metric: Metric) -> Meter | None:
    """The meter of this run."""
    model = current_run.model()

    def work() -> Meter:
        from model.attribution.meter import measured

        return measured(model, trace, metric)

    return made("meter", (trace.key, metric), work, say("switch_off.waiting_meter"))
