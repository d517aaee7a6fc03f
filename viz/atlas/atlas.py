"""Every head of a run as a small picture: in which order, on one scale of 0–1, as the frame of the atlas component."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model.measures.registry import ROLES
from model.trace.site import Site
from viz.base.payload import pack

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from model.measures.head_statistics import HeadStatistics
    from model.trace.trace import Trace

Head = tuple[Site, int]
LIKE = "like"  # an order of heads beside their layer and the orderable measures: how alike they are to the selected one
GRIDS = ("layers", "roles", "flat")
SIZE = 64  # bins a side: what a screen has room for
_BYTES = 1_200_000  # of all pictures together
# Bytes of a picture: up to TOP from 0 to where the colours end, one for what is larger, one for what is no number.
TOP, BEYOND, NAN = 253, 254, 255
_PALE = 0.5  # where three heads of four stay below it, 0 to 1 would show little, as on the first screen


def size(trace: Trace) -> int:
    """Bins a side of a thumbnail: fewer where there are many heads, so that a page stays a page."""
    heads = sum(record.heads for record in trace.attention.values())
    return max(12, min(SIZE, math.isqrt(_BYTES // max(1, heads))))


def group(site: Site) -> str:
    """ "encoder_self", "decoder_self" or "decoder_cross"."""
    return f"{site.stack}_{site.kind}"


def groups(sites: Sequence[Site]) -> list[str]:
    """The kinds of sub-layers of a run, in reading order."""
    known = ("encoder_self", "encoder_cross", "decoder_self", "decoder_cross")
    there = dict.fromkeys(map(group, sites))
    return [*(name for name in known if name in there), *(name for name in there if name not in known)]


def in_order(sites: Sequence[Site]) -> list[Site]:
    """Kind by kind, each with its last layer on top, as the model is drawn."""
    kinds = groups(sites)
    return sorted(sites, key=lambda site: (kinds.index(group(site)), -site.layer))


def exact(trace: Trace, bins: int) -> bool:
    """Whether every cell of every thumbnail is one weight."""
    return all(max(record.queries, record.keys) <= bins for record in trace.attention.values())


def shares(values: Tensor, how: str, keys: Tensor) -> np.ndarray:
    """What is drawn of pooled weights [h, R, C].

    how: "max" as it is; "mean" times `keys` [C], how many keys each bin has: the share of a query's attention that falls
    into the bin, which is on the scale of 0–1 at any length while the mean itself shrinks with it.
    """
    return (values if how == "max" else values * keys).numpy()


def picture(shown: np.ndarray, end: float = 1.0) -> np.ndarray:
    """The same as bytes, of colours that end at `end`."""
    with np.errstate(invalid="ignore"):
        bytes_ = np.rint(np.clip(shown / end, 0, 1) * TOP)
        bytes_[shown > end * (1 + 1e-5)] = BEYOND  # a weight may pass the end by rounding alone
    return np.where(np.isnan(shown), NAN, bytes_).astype(np.uint8)


def most(shown: Mapping[Site, np.ndarray], closed: Mapping[Site, np.ndarray]) -> float:
    """What three heads of four stay below, of [h, R, C] and the bins [R, C] that are masked.

    Only rows that see half of what any sees count: a first token has one key, which gets 1 whatever the head.
    """
    largest: list[float] = []
    for site, values in shown.items():
        open_ = ~closed[site]
        seen = open_.sum(-1)
        rows = open_ & (seen >= seen.max(initial=0) / 2)[:, None]
        if rows.any():
            largest += np.nan_to_num(values[:, rows]).max(-1).tolist()
    return sorted(largest)[int(0.75 * len(largest))] if largest else 0.0


def suggested(most: float) -> str:
    """Where nobody chose where the colours end: "1", or "max" where little would be seen."""
    return "max" if 0 < most < _PALE else "1"


def measured(by_site: Mapping[Site, HeadStatistics], name: str) -> dict[Head, float]:
    """One measure of every head that has it; NaN where it is a mean over nothing."""
    return {
        (site, head): value
        for site, statistics in by_site.items()
        if name in statistics.values
        for head, value in enumerate(statistics.values[name].tolist())
    }


@dataclass(frozen=True)
class Shown:
    """What is asked for. order: "layer", one of `registry.ORDERABLE` or "like"; lowest: the smallest first; grid: one of `GRIDS`.

    kind: one of `groups`, "" for all. least: heads whose measure is smaller, or that have none, are left out.
    """

    order: str = "layer"
    lowest: bool = False
    grid: str = "layers"
    kind: str = ""
    least: float | None = None


def arranged(heads: Sequence[Head], values: Mapping[Head, float], shown: Shown) -> list[Head]:
    """The heads to show in the order to show them: by `values`, those without one last; by layer without values.

    In layers, sub-layer by sub-layer and only the heads of each among themselves; else all together.
    """
    kept = [head for head in heads if not shown.kind or group(head[0]) == shown.kind]
    if shown.least is not None:
        kept = [head for head in kept if values.get(head, math.nan) >= shown.least]
    if not values:
        return kept
    sign = 1 if shown.lowest else -1

    def place(head: Head) -> tuple[bool, float]:
        value = values.get(head, math.nan)
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    if shown.grid != "layers":
        return sorted(kept, key=place)
    sites = list(dict.fromkeys(site for site, _ in kept))
    return [head for site in sites for head in sorted((h for h in kept if h[0] == site), key=place)]


def by_role(
    order: Sequence[Head], roles: Mapping[Head, tuple[str, float]], by_share: bool
) -> list[tuple[str, list[Head]]]:
    """(role, its heads): the roles that any head has in the order of `registry.ROLES`, then "" for those without one.

    by_share: the largest share first, else the heads stay in their order.
    """
    parts = [(role, [head for head in order if roles.get(head, ("",))[0] == role]) for role in (*ROLES, "")]
    if by_share:
        parts = [(role, sorted(heads, key=lambda head: -roles.get(head, ("", 0.0))[1])) for role, heads in parts]
    return [(role, heads) for role, heads in parts if heads]


def frame(
    trace: Trace, pictures: Mapping[Site, np.ndarray], closed: Mapping[Site, np.ndarray], order: Sequence[Head],
    values: Mapping[Head, float], measures: Mapping[str, Mapping[Head, float]], chosen: Head, picks: Sequence[Head],
    words: dict[str, str], names: Mapping[Site, tuple[str, str, str, str]], parts: Sequence[tuple[str, int]] | None = None,
    there: Collection[str] = (), end: str = "1",
) -> bytes:  # fmt: skip
    """The frame of the component.

    there: `digests` of the pictures that the browser has already: they are named, not sent again. end: of the colours.

    pictures: bytes [h, R, C] of the sites that are done; closed: bool [R, C], the bins in which every cell is masked.
    values: what the heads are ordered by, written under each. names: (group's title, row's label, short name, full name)
    of each site. measures: by its name in words, for the card of a head. parts: (title, how many heads) of the grids that
    the heads stand in, in their order; None in layers.
    """
    arrays: dict[str, np.ndarray] = {}
    masks: dict[bytes, str] = {}
    sites = [site for site in in_order(trace.sites) if site in names]  # those that are shown
    told = []
    for index, site in enumerate(sites):
        record = trace.record(site)
        title, label, short, full = names[site]
        entry: dict[str, Any] = {
            "site": str(site), "title": title, "label": label, "short": short, "name": full,
            "queries": record.queries, "keys": record.keys,
        }  # fmt: skip
        if site in pictures:
            entry["pictures"], entry["digest"] = f"p{index}", _digest(pictures[site], closed[site])
            if entry["digest"] not in there:
                arrays[f"p{index}"] = pictures[site]
            mask = closed[site].astype(np.uint8)
            if mask.any():
                key = mask.tobytes() + bytes(str(mask.shape), "ascii")
                if key not in masks:
                    masks[key] = f"m{index}"
                    arrays[f"m{index}"] = mask
                entry["mask"] = masks[key]
        told.append(entry)
    place = {site: index for index, site in enumerate(sites)}
    arrays["order"] = np.array([(place[site], head) for site, head in order], np.int32).reshape(-1, 2)
    arrays["values"] = np.array([values.get(head, math.nan) for head in order], np.float32)
    table = [[numbers.get(head, math.nan) for numbers in measures.values()] for head in order]
    arrays["measures"] = np.array(table, np.float32).reshape(len(order), len(measures))
    header = {
        "words": words,
        "end": end,
        "sites": told,
        "parts": None if parts is None else [list(part) for part in parts],
        "measures": list(measures),
        "valued": bool(values),
        "selection": {"site": str(chosen[0]), "head": chosen[1]},
        "picks": [[str(site), head] for site, head in picks],
    }
    return pack(header, **arrays)


def digests(pictures: Mapping[Site, np.ndarray], closed: Mapping[Site, np.ndarray]) -> set[str]:
    """A hash of each site's thumbnails, which tells whether the browser has them already."""
    return {_digest(values, closed[site]) for site, values in pictures.items()}


def _digest(values: np.ndarray, closed: np.ndarray) -> str:
    return hashlib.blake2b(values.tobytes() + closed.tobytes() + str(values.shape).encode(), digest_size=9).hexdigest()


def table(
    statistics: Mapping[Site, HeadStatistics], names: Sequence[str], heads: Sequence[Head], similarity: Mapping[Head, float],
    roles: Mapping[Head, tuple[str, float]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """site, head, one column a measure in `names`, and with `similarity` "like": one row a head, in the order of `heads`.

    roles: also the columns role ("" without one) and role_share.
    """
    import pandas as pd

    by_name = {name: measured(statistics, name) for name in names} | ({LIKE: similarity} if similarity else {})
    columns = {name: [values.get(head, math.nan) for head in heads] for name, values in by_name.items()}
    if roles is not None:
        told = [roles.get(head, ("", math.nan)) for head in heads]
        columns |= {"role": [role for role, _ in told], "role_share": [share for _, share in told]}
    return pd.DataFrame({"site": [str(s) for s, _ in heads], "head": [h for _, h in heads], **columns})
