"""The figure of the atlas: what is known of a run's heads as one canvas, with its legend and its footer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from model.measures.registry import CHEAP, ORDERABLE
from viz.atlas import atlas
from viz.base import export
from viz.ui import components, language
from viz.ui.atlas import canvas, colours, compute, controls
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, sink
from viz.ui.shared.side_bar import site_name
from viz.ui.state import view as session

if TYPE_CHECKING:
    from model.trace.site import Site
    from model.trace.trace import Trace

SENT = "atlas-sent"


@dataclass(frozen=True, eq=False)
class View:
    """The run, the sites whose records hold, how many bins a side they get, and what is known of them so far."""

    trace: Trace
    sites: list[Site]
    size: int
    found: compute.Gathered

    @property
    def exact(self) -> bool:
        return atlas.exact(self.trace, self.size)

    @property
    def how(self) -> str:
        return controls.how(self.exact)

    @property
    def hows(self) -> tuple[str, ...]:
        """What has to be pooled: for likeness the means too, which are the weights themselves where nothing is pooled."""
        like = controls.order() == atlas.LIKE and not self.exact
        return tuple(dict.fromkeys((self.how, "mean"))) if like else (self.how,)

    @property
    def done(self) -> tuple[int, ...]:
        """How much is known by now; it only grows."""
        return *(len(self.found.pooled[how]) for how in self.hows), len(self.found.measures)

    @property
    def pictured(self) -> bool:
        """Whether every head has its picture."""
        return all(site in self.found.pooled[how] for how in self.hows for site in self.sites)

    @property
    def heads(self) -> list[atlas.Head]:
        return [(site, head) for site in self.sites for head in range(self.trace.record(site).heads)]

    def values(self) -> dict[atlas.Head, float]:
        """What the heads are ordered by, as far as it is known."""
        order = controls.order()
        if order == atlas.LIKE:
            return self.similarity()
        return atlas.measured(self.found.measures, order) if order != "layer" else {}

    def roles(self) -> dict[atlas.Head, tuple[str, float]]:
        """The heads that have a role, with the share that earns it."""
        from model.measures import table as head_table

        return {
            (site, head): role
            for site, found in self.found.measures.items()
            for head, role in enumerate(head_table.roles(found))
            if role is not None
        }

    def similarity(self) -> dict[atlas.Head, float]:
        import torch

        from model.attention.downsample_heads import head_similarity

        site, head, _, _ = session.selected()
        means = dict(self.found.pooled["max" if self.exact else "mean"])
        if site not in means or len(means) < len(self.sites):
            return {}
        allowed = {other: torch.from_numpy(~self.found.closed[other]) for other in means}
        return head_similarity(means, allowed, site, head)


def draw(view: View, layout: atlas.Shown, values: dict[atlas.Head, float], whole: bool = True) -> None:
    """The canvas, and its footer where the picture is whole. values: what the heads are ordered by."""
    trace, found = view.trace, view.found
    heads = [head for head in view.heads if head in values] if layout.order == atlas.LIKE and values else view.heads
    order, parts, values = _parts(view, layout, atlas.arranged(heads, values, layout), values)
    pictures, closed, end = colours.pictures(view)
    measures = {measure_words.on_card(name): atlas.measured(found.measures, name) for name in ORDERABLE}
    names, legend = canvas.names_of(view.sites), colours.legend(view, pictures)
    site, head, _, _ = session.selected()
    texts = sink.masked(language.group("atlas"))
    words = {name: texts[name] for name in canvas.WORDS} | {
        "legend": legend,
        "alt": say("atlas.alt_text", shown=len(order), heads=len(view.heads), sites=len(view.sites)),
    }
    data = atlas.frame(
        trace, pictures, closed, order, values, measures if found.measures else {}, (site, head),
        canvas.picked(trace), words, names, parts, _sent(), end,
    )  # fmt: skip
    st.session_state[SENT] = atlas.digests(pictures, closed)
    components.atlas(
        key="atlas",
        data=data,
        on_select_change=lambda: canvas.select("atlas"),
        on_picks_change=lambda: canvas.pick("atlas"),
        on_lost_change=_lost,
    )

    def figure():
        from viz.atlas import static as static_atlas

        grey = f" · {say('atlas.grey')}" if any(mask.any() for mask in closed.values()) else ""
        return static_atlas.chart(pictures, closed, order, parts, names, f"0 – {end} · {legend}" + grey)

    if whole:
        _footer(view, layout, order, values, figure, end)


Parts = list[tuple[str, int]] | None


def _parts(
    view: View, layout: atlas.Shown, order: list[atlas.Head], values: dict[atlas.Head, float]
) -> tuple[list[atlas.Head], Parts, dict[atlas.Head, float]]:
    """(heads, `atlas.frame`'s parts, the number of each): by role once that is measured, and then with the role's share."""
    if layout.grid == "flat":
        return order, [("", len(order))], values
    if layout.grid == "layers" or not view.found.measures:
        return order, None, values
    roles, plain = view.roles(), layout.order == "layer"
    found = atlas.by_role(order, roles, plain)
    titles = [(measure_words.of_role_group(role or "none", len(heads)), len(heads)) for role, heads in found]
    shares = {head: share for head, (_, share) in roles.items()}
    return [head for _, heads in found for head in heads], titles, shares if plain else values


def _sent() -> set[str]:
    """The pictures that the browser holds: while the atlas fills, and at a click, only what is new goes over the wire."""
    return st.session_state.get(SENT, set())


def _lost() -> None:
    """The browser asks for a picture that it was told to have: frames may be skipped, and the figure is made anew elsewhere."""
    if st.session_state["atlas"].get("lost") is not None:
        st.session_state.pop(SENT, None)


def _about_roles(layout: atlas.Shown, found: compute.Gathered) -> list[str]:
    from model.measures.table import LEAST

    if not found.measures:
        return [say("atlas.unmeasured")] if layout.order == "layer" else []
    share = [say("atlas.role_share")] if layout.order == "layer" else []
    return [say("atlas.role_sentence", least=f"{LEAST:g}"), *share]


def _footer(
    view: View,
    layout: atlas.Shown,
    order: list[atlas.Head],
    values: dict[atlas.Head, float],
    figure: Callable,
    end: str,
) -> None:
    from model.attention import downsample, downsample_heads, row_blocks
    from model.measures import head_statistics
    from model.measures import table as head_table

    trace, found = view.trace, view.found
    parts = [say("atlas.count", shown=len(order), heads=len(view.heads)), say("atlas.sentence", end=end)]
    if layout.order == atlas.LIKE and values:
        site, head, _, _ = session.selected()
        parts.append(say("atlas.like_sentence", site=site_name(site), head=head))
        if left := len(view.heads) - len(values):
            parts.append(say("atlas.like_left", n=left))
    elif layout.order != "layer":
        parts.append(measure_words.what_is_ordered(layout.order) if values else say("atlas.unmeasured"))
        if values and layout.grid == "layers":
            parts.append(say("atlas.within_layers"))
    if layout.grid == "roles":
        parts += _about_roles(layout, found)
    slug = f"{figure_footer.safe(trace.key.model)}-atlas{sink.slug()}"

    def csv() -> bytes:
        everywhere = [m.name for m in CHEAP if all(m.name in one.values for one in found.measures.values())]
        names = list(dict.fromkeys([*ORDERABLE, *everywhere]))
        alike = values if layout.order == atlas.LIKE else {}
        data = atlas.table(found.measures, names, order, alike, view.roles() if layout.grid == "roles" else None)
        return export.table_csv(data)

    def npz() -> bytes:
        shown = dict(found.pooled[view.how])
        arrays = {str(site): values.numpy() for site, values in shown.items()}
        return export.npz(**arrays, **{f"masked/{site}": found.closed[site] for site in shown}, how=[view.how])

    code = (downsample.thumbnails, downsample._pool, row_blocks.block_weights, row_blocks.bins)
    more = {"layer": (), atlas.LIKE: (downsample_heads.head_similarity,)}.get(
        layout.order, (head_statistics.statistics,)
    )
    more += (head_statistics.statistics, head_table.role) if layout.grid == "roles" else ()
    files = {f"{slug}.csv": csv, f"{slug}.npz": npz}
    badge = sink.told(figure_footer.worst_badge(view.trace, view.sites), "atlas")
    figure_footer.draw("atlas", " ".join(parts), badge, lambda: files, figure, tuple(dict.fromkeys((*code, *more))))
