"""Which head a page shows where nobody chose one, and which head the ribbons of the first screen are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.measures import default_head
from model.trace.per_trace import PerTrace
from model.trace.site import Site
from viz.overview import overview
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.trace.trace import Trace

# Finding these takes every head's weights.
_best: PerTrace[tuple[Site, int]] = PerTrace()
_uniform: PerTrace[list[tuple[Site, int]]] = PerTrace()


def uniform_heads(trace: Trace) -> list[tuple[Site, int]]:
    """Heads of this run that look at everything alike."""
    return _uniform.get(trace, "uniform", lambda: default_head.uniform_heads(trace))


def best_head(trace: Trace) -> tuple[Site, int]:
    """The head that a first look at `trace` shows."""
    return _best.get(trace, "best", lambda: _find_best(trace))


def _find_best(trace: Trace) -> tuple[Site, int]:
    card = model_list.card(view.current().model)
    told = card.get("head")
    if told and told[0] in {str(site) for site in trace.sites}:
        return Site.parse(told[0]), int(told[1])
    return default_head.best_head(trace, card, trace.language)


def drawn_head(trace: Trace) -> tuple[Site, int]:
    """The head of the ribbons: the selected one where it joins the same rows of words as the best one does, else that."""
    best = best_head(trace)
    site, head, _, _ = view.selected()
    return (site, head) if overview.same_words(site, best[0]) else best
