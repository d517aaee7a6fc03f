"""Under which names the record of our own model holds the residual stream, in either order of its norms."""

from __future__ import annotations

from model.trace.tensors import Store


def leaves(norm: str) -> str:
    """What a sub-layer hands on to the next: what its norm put out in post-LN, the bare sum in pre-LN."""
    return "norm" if norm == "post" else "residual"


def into(store: Store, name: str, norm: str) -> str:
    """Name of the stream that enters the sub-layer `name`: `encoder.0.self`, `decoder.1.cross`, `decoder.1.ffn`."""
    stack, number, kind = name.split(".")
    layer = int(number)
    if kind == "self":
        return f"{stack}.input" if layer == 0 else f"{stack}.{layer - 1}.ffn.{leaves(norm)}"
    crosses = kind == "ffn" and f"{stack}.{layer}.cross.residual" in store
    return f"{stack}.{layer}.{'cross' if crosses else 'self'}.{leaves(norm)}"
