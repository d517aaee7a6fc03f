"""How a run checks, in the English of a notebook; the app says the same under its figures (viz/ui/shared/figure_footer.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viz.base import numbers
from viz.base.check_note import CheckNote, note

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace


def site_name(site: Site) -> str:
    """`decoder.1.cross` -> "decoder 1 · cross-attention"."""
    return f"{site.stack.replace('_', ' ')} {site.layer} · {site.kind}-attention"


def site_check(trace: Trace, site: Site) -> CheckNote:
    """How well one sub-layer checks: against what, by how much it is off, or that nothing was measured."""
    fidelity, name = trace.fidelity(), str(site)
    if not fidelity.logits_hold:  # then no sub-layer can be believed
        return _logits(trace)
    if name not in fidelity.sites:
        return note("not checked")
    error, what = numbers.short(fidelity.sites[name]), fidelity.compared.get(name, "output")
    if not fidelity.holds_at(name):
        return note(f"✗ does not check: {site_name(site)} is {error} off the module’s own {what}", False)
    found = note(
        f"✓ {error} off the module’s own {what}" + ("; its W_O is not known" if what == "context" else ""), True
    )
    if trace.predicts and fidelity.logits_error is None:
        return found + note("logits not compared: too long for a second run")
    return found


def run_check(trace: Trace) -> CheckNote:
    """How well all sub-layers of a run check: as the worst of them."""
    fidelity = trace.fidelity()
    worst = fidelity.worst(map(str, trace.sites))
    if not worst:
        return note("not checked") if fidelity.logits_hold else _logits(trace)
    return site_check(trace, next(site for site in trace.sites if str(site) == worst))


def _logits(trace: Trace) -> CheckNote:
    error = numbers.short(trace.fidelity().logits_error)
    return note(f"✗ does not check: logits {error} off the untouched model’s", False)
