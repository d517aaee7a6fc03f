"""A function applied to every attention sub-layer of a run, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from model.jobs.parallel import Found, OnProgress, each
from model.trace.site import Site

if TYPE_CHECKING:
    from model.trace.trace import Trace


def each_site(
    work: Callable[[Site, OnProgress], Found], trace: Trace, sites: Sequence[Site], what: str
) -> Iterator[tuple[Site, Found]]:
    """`each` over sub-layers of a run."""
    # What a site costs grows with its cells, and a decoder's cross-attention may be far smaller than its encoder's own.
    costs = [record.heads * record.queries * record.keys for record in map(trace.record, sites)]
    return each(work, sites, costs, what)
