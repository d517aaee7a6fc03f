"""How the whole run checks, in the footer of the first screen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from model.trace import logits
from viz.base import numbers
from viz.base.check_note import CheckNote, note
from viz.ui.language import say
from viz.ui.shared import figure_footer

if TYPE_CHECKING:
    from model.trace.trace import Trace


def of_run(trace: Trace) -> CheckNote:
    """The sub-layer that is worst, the logits, and the weights that the library gave when the model was opened."""
    fidelity = trace.fidelity()
    if trace.facts.get("not_finite") and fidelity.logits_hold:
        return _of_nan(trace)
    check = figure_footer.worst_badge(trace, trace.sites)
    if fidelity.rows is not None:
        first = replace(check.parts[0], said=f"{check.parts[0].said} {say('foot.rows', rows=fidelity.rows)}")
        check = CheckNote((first, *check.parts[1:]))
    if fidelity.logits_error is not None and fidelity.logits_hold:
        check += note(say("foot.logits", error=numbers.short(fidelity.logits_error)), True)
    opening = trace.facts.get("opening", {})
    if "weights" in opening:
        check += note(say("foot.opening", error=numbers.short(opening["weights"])), True)
    return check


def _of_nan(trace: Trace) -> CheckNote:
    """Of weights that hold NaN: what is a number is checked, and what is none is not said to be right."""
    fidelity = trace.fidelity()
    known = [site for site in trace.sites if str(site) in fidelity.sites]
    parts = [figure_footer.worst_badge(trace, known)] if known else []
    if len(known) < len(trace.sites):
        parts.append(note(say("foot.nan")))
    if logits.hold_nan(trace.store):
        parts.append(note(say("foot.nan_logits")))
    elif fidelity.logits_error is not None:
        parts.append(note(say("foot.logits", error=numbers.short(fidelity.logits_error)), True))
    if "weights" in (opening := trace.facts.get("opening", {})):
        parts.append(note(say("foot.nan_opening", error=numbers.short(opening["weights"])), True))
    return CheckNote(tuple(part for each in parts for part in each.parts))
