"""What stands around an attention sub-layer in the residual stream: the sum that it ends in, and the stream after its layer."""

from __future__ import annotations

from torch import Tensor

from model.errors import NotInThisModel
from model.residual.stream import streams
from model.trace.site import Site
from model.trace.trace import Trace


def sum_after(trace: Trace, site: Site) -> Tensor:
    """x + what the sub-layer puts out, before a norm, [q, d]; what it puts out alone where the record has not the x that it is
    added to. Raises NotInThisModel where it puts out nothing that is recorded."""
    record = trace.record(site)
    if f"{site}.residual" in trace.store:
        return trace.store[f"{site}.residual"]
    if not record.has("output"):
        raise NotInThisModel(what="This method", does=f"has no output recorded in {site}")
    entering, output = f"{site.stack}.{site.layer}.stream", record.output
    known = site.kind == "self" and entering in trace.store and trace.store.shape(entering) == tuple(output.shape)
    return trace.store[entering] + output if known else output


def stream_after(trace: Trace, site: Site) -> Tensor:
    """The residual stream after the layer of a sub-layer: [n, d]. Raises NotInThisModel where it is not recorded."""
    found = streams(trace, site.stack)
    if site.layer + 1 >= len(found):
        raise NotInThisModel(what="This method", does=f"has no residual stream recorded after layer {site.layer}")
    return trace.store[found[site.layer + 1]]
