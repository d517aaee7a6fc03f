"""The heads picked to be looked at together: picked on one page, they are picked on every page, and in the link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viz.ui.state import view

if TYPE_CHECKING:
    from model.trace.trace import Trace

Pick = tuple[str, int]
# More heads side by side than this are no picture any more.
MOST = 12


def parse(names: str) -> list[Pick]:
    """ "decoder.0.self.3,encoder.1.self.0" -> [("decoder.0.self", 3), …]; what is no head's name is left out."""
    found = []
    for name in names[:2000].split(","):
        site, _, head = name.rpartition(".")
        if site and head.isascii() and head.isdigit() and len(head) <= 4:
            found.append((site, int(head)))
    return list(dict.fromkeys(found))


def picked(trace: Trace) -> list[Pick]:
    """The picked heads that this trace has, in the order they were picked."""
    heads = {str(site): record.heads for site, record in trace.attention.items()}
    return [(site, head) for site, head in parse(view.current().picks) if head < heads.get(site, 0)][:MOST]


def pick(picks: list[Pick]) -> None:
    """From now on these are picked."""
    unique = list(dict.fromkeys((str(site), int(head)) for site, head in picks))[:MOST]
    view.change(picks=",".join(f"{site}.{head}" for site, head in unique))


def toggle(trace: Trace, site: str, head: int) -> None:
    """Pick a head, or leave it out where it is picked."""
    now = picked(trace)
    one = (str(site), int(head))
    pick([other for other in now if other != one] if one in now else [*now, one])
