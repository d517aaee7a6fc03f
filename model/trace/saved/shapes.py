"""Whether the tensors of a saved trace belong together: axes, sizes and kinds of numbers, told by the file's header alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from model.trace.site import Site, predicting_side
from model.trace.tensors import FileStore
from model.trace.trace_key import Side

_NEEDED = ("q", "k", "v", "context")
_FLOATS = {"F64", "F32", "F16", "BF16"}
_WHOLE = {"I64", "I32"}
# One row a token: what a stack computes beside its attention.
_ROWS = re.compile(
    r"(?P<stack>[a-z][a-z0-9_]*)\.(([0-9]+\.)?(stream|(ffn\.)?(pre|post|output|residual|norm))|embedding|positions|input)"
)
_LOGITS = {"label_logits": 2, "replaced_logits": 1, "start_logits": 1, "end_logits": 1}


def check(store: FileStore, site: Site, sides: Mapping[str, int], distance: int | None) -> None:
    """One sub-layer's tensors. sides: how many tokens each has. Raises ValueError, naming what does not fit."""
    missing = [part for part in _NEEDED if f"{site}.{part}" not in store]
    if missing:
        raise ValueError(f"{site} lacks {', '.join(missing)}")
    for part, axes in {"q": 3, "k": 3, "v": 3, "context": 3, "output": 2}.items():
        if part != "output" or f"{site}.output" in store:  # of an attention without W_O there is none
            _fit(store, f"{site}.{part}", (None,) * axes)
    (h, q, d_k), (groups, k, _) = store.shape(f"{site}.q"), store.shape(f"{site}.k")
    d_v = store.shape(f"{site}.v")[2]
    d = store.shape(f"{site}.output")[1] if f"{site}.output" in store else None
    expected = (sides[site.query_side], sides[site.key_side])
    if (q, k) != expected:
        raise ValueError(f"{site} is {q} × {k}, but its tokens are {expected[0]} × {expected[1]}")
    if min(h, groups, d_k, d_v, 1 if d is None else d) < 1 or h % groups:
        raise ValueError(f"{site} has {h} heads of queries, {groups} of keys, and {d_k} numbers in each")
    sizes = {
        "k": (groups, k, d_k), "v": (groups, k, d_v), "context": (h, q, d_v), "output": (q, d), "lse": (h, q),
        "bias": (h, q, k), "bias_offsets": (h, q + k - 1), "sinks": (h,), "slopes": (h,), "residual": (q, d), "norm": (q, None),
    }  # fmt: skip
    if distance is not None:
        if f"{site}.relative_keys" not in store:
            raise ValueError(f"{site} has no vectors for a distance of {distance}")
        sizes |= {"relative_keys": (2 * distance + 1, d_k), "relative_values": (2 * distance + 1, d_v)}
    for part, size in sizes.items():
        if f"{site}.{part}" in store:
            _fit(store, f"{site}.{part}", size)
    widths = {"W_O": (h * d_v, d), "b_O": (d,), "W_Q": (None, h * d_k), "W_K": (None, groups * d_k), "W_V": (None, groups * d_v),
              "b_Q": (h * d_k,), "b_K": (groups * d_k,), "b_V": (groups * d_v,)}  # fmt: skip
    for part, size in widths.items():
        if f"parameters/{site}.{part}" in store:
            _fit(store, f"parameters/{site}.{part}", size)


def check_mask(site: Site, parts: Mapping[str, Tensor], queries: int, keys: int) -> None:
    """The tensors of a mask. Raises ValueError."""
    sizes = {"keys": (keys,), "tile": (queries, keys), "first": (queries,), "last": (queries,)}
    for name, part in parts.items():
        most = keys if name in ("first", "last") else 1
        whole = not part.is_floating_point() and tuple(part.shape) == sizes[name]
        if not whole or not 0 <= int(part.min()) <= int(part.max()) <= most:
            raise ValueError(f"{site} has a mask of another size")


def check_rest(store: FileStore, sides: Mapping[str, Side], sites: list[Site]) -> None:
    """What lies beside the attention: a stack's activations, and logits. Raises ValueError."""
    apart = {site.stack for site in sites if site.sides is not None}  # layers of lengths of their own
    for name in store.names():
        found = _ROWS.fullmatch(name)
        if found and found["stack"] in sides and found["stack"] not in apart:
            _fit(store, name, (len(sides[found["stack"]].tokens), None))
    side = sides[predicting_side(sides, sites)]
    rows = len(side.tokens)
    if "logits" in store:
        _fit(store, "logits", (rows, None))
        _known(side, store.shape("logits")[1])
    if "likeliest.logits" in store:
        most = store.shape("likeliest.logits")[-1:]
        missing = [part for part in ("ids", "lse", "size") if f"likeliest.{part}" not in store]
        if missing:
            raise ValueError(f"likeliest.{missing[0]} is missing")
        _fit(store, "likeliest.logits", (rows, None))
        _fit(store, "likeliest.ids", (rows, *most), _WHOLE)
        _fit(store, "likeliest.lse", (rows,))
        _fit(store, "likeliest.size", (1,), _WHOLE)
        if (
            not 0
            <= int(store["likeliest.ids"].min())
            <= int(store["likeliest.ids"].max())
            < int(store["likeliest.size"][0])
        ):
            raise ValueError("likeliest.ids are no ids of its vocabulary")
        _known(side, int(store["likeliest.size"][0]))
    first = len(next(iter(sides.values())).tokens)
    for name, axes in _LOGITS.items():
        if name in store:
            _fit(store, name, (first, None)[:axes])


def _known(side: Side, most: int) -> None:
    """Raises ValueError where an id is beyond the logits; the first may be a mark that is never written."""
    if max(side.ids[1:], default=0) >= most:
        raise ValueError(f"its ids are beyond the {most:,} tokens of its logits")


def check_media(store: FileStore, reads: str) -> None:
    """The picture or the sound that the facts speak of, and no other. Raises ValueError."""
    for kind, name in (("picture", "image"), ("sound", "samples")):
        if name in store and reads != kind:
            raise ValueError(f"it holds a {kind}, of which its facts say nothing")
    if reads == "picture" and "image" in store and store.dtype("image") == "U8" and len(store.shape("image")) == 3:
        reads = ""
    if reads == "sound" and "samples" in store and len(store.shape("samples")) == 1 and store.shape("samples")[0]:
        reads = ""
    if reads in ("picture", "sound"):
        raise ValueError(f"the {reads} is missing or of another size")


def _fit(store: FileStore, name: str, size: tuple[int | None, ...], kinds: set[str] = _FLOATS) -> None:
    """Raises ValueError where a tensor has other axes than these, of any size where it is None, or other numbers."""
    if name not in store:
        raise ValueError(f"{name} is missing")
    got = store.shape(name)
    if len(got) != len(size) or any(want is not None and one != want for one, want in zip(got, size, strict=True)):
        raise ValueError(f"{name} is missing or of another size")
    if store.dtype(name) not in kinds:
        raise ValueError(f"{name} is of {store.dtype(name)}, which it never is")
