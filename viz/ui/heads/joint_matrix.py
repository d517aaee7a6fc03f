"""The joint view of an encoder–decoder: its three attentions as one matrix, a head chosen for each block."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.trace.site import Site
from viz.base import axes, export, numbers
from viz.heads import color_scale
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, sink
from viz.ui.shared.widgets import mirror
from viz.ui.state import view

if TYPE_CHECKING:
    from model.attention.joint_matrix import Part
    from model.trace.trace import Trace

Heads = dict[str, tuple[Site, int]]


def joint_view(trace: Trace) -> None:
    """A section of the page Heads, for models with two stacks; for others there is none."""
    from model.attention import joint_matrix
    from viz.heads import joint_matrix as pictures

    if len(trace.sides) < 2 or not joint_matrix.drawable(trace):
        return
    site, head, row, column = view.selected()
    heads = joint_matrix.heads_of_blocks(trace, (site, head), _asked())
    page_text.heading("joint.title", "joint.what")
    _pickers(trace, heads)
    if any(figure_footer.refused(trace, other) for other, _ in heads.values()):
        return
    parts = joint_matrix.encoder_decoder_matrix(sink.drawn(trace), heads)
    most = max(float(part.weights[part.allowed].max()) if bool(part.allowed.any()) else 0.0 for part in parts.values())
    end = color_scale.end(most, view.current().scale)
    titles = {
        kind: f"{say(f'joint.{kind}')} · {say('joint.place', layer=s.layer, head=h)}" for kind, (s, h) in heads.items()
    }
    sizes = {side: len(trace.side(side).tokens) for side in ("encoder", "decoder")}
    words = sink.masked(language.group("joint")) | {
        "alt": say("joint.alt_text", n=sizes["encoder"], m=sizes["decoder"])
    }
    frame = pictures.joint_frame(trace, parts, (site, row, column), titles, end, _legend(most, end), words)
    components.joint_matrix(key="joint", data=frame, on_select_change=lambda: _select(trace, heads, parts))
    _footer(trace, parts, end)


def _asked() -> dict[str, tuple[int, int]]:
    """(layer, head) of each block as the link has it."""
    from model.attention.joint_matrix import KINDS

    found = {kind: re.fullmatch(r"l([0-9]{1,4})h([0-9]{1,4})", view.tab(f"joint_{kind}")) for kind in KINDS}
    return {kind: (int(match[1]), int(match[2])) for kind, match in found.items() if match}


def _pickers(trace: Trace, heads: Heads) -> None:
    """A list for each block. The one of the selected head follows the selection above and cannot be pressed: two quick
    clicks on a matrix would hand back the list's older value, and it would turn the selection back."""
    from model.attention.joint_matrix import kind_of

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="joint-pickers"):
        for kind, (site, head) in heads.items():
            options = [
                (other.layer, number)
                for other in reversed(trace.sites) if kind_of(other) == kind
                for number in range(trace.record(other).heads)
            ]  # fmt: skip
            key = mirror(f"joint-{kind}", (site.layer, head))
            st.selectbox(
                say(f"joint.{kind}"), options, format_func=lambda at: say("joint.place", layer=at[0], head=at[1]),
                key=key, on_change=_pick, args=(kind, key), width=176, disabled=str(site) == view.current().site,
            )  # fmt: skip


def _pick(kind: str, key: str) -> None:
    layer, head = st.session_state[key]
    view.open_tab(f"joint_{kind}", f"l{layer}h{head}")


def _keep(heads: Heads) -> None:
    """The heads of the blocks stay when another block's becomes the selected one."""
    for kind, (site, head) in heads.items():
        view.open_tab(f"joint_{kind}", f"l{site.layer}h{head}")


def _select(trace: Trace, heads: Heads, parts: dict[str, Part]) -> None:
    """A clicked cell: the selection goes to its block's head; of a bin to its strongest pair."""
    if not (told := st.session_state["joint"].get("select")):
        return
    part, cell = parts[told["block"]], (int(told["row"]), int(told["column"]))
    record = sink.drawn(trace).record(part.site)
    both = [
        axes.Axis(tuple(range(0, total, step)), total, (), total)
        for total, step in zip((record.queries, record.keys), part.step, strict=True)
    ]
    row, column = cell if part.step == (1, 1) else axes.strongest(record, part.head, (both[0], both[1]), cell)
    _keep(heads)
    view.change(site=str(part.site), head=part.head, row=row, column=column, heads="")


def _legend(most: float, end: float) -> str:
    kind = view.current().scale or color_scale.suggested(most)
    told = {"end": color_scale.written(end), "most": numbers.short(most)}
    return f"{sink.legend()} · {say(f'matrix.legend_{kind}', **told)}"


def _footer(trace: Trace, parts: dict[str, Part], end: float) -> None:
    from model.attention import joint_matrix
    from model.attention.downsample import pooled
    from viz.heads import joint_matrix as pictures

    pooled_parts = max(max(part.step) for part in parts.values()) > 1
    said = [say("joint.sentence")]
    if pooled_parts:
        sizes = {"n": parts["encoder"].step[0], "m": parts["decoder"].step[0]}
        said.append(say("joint.bins", **sizes))
    slug = f"{figure_footer.safe(trace.key.model)}-joint{sink.slug()}"

    def files() -> dict[str, Callable[[], bytes]]:
        def csv() -> bytes:
            sides = [
                [item["text"] for kind in ("encoder", "decoder") for item in pictures.labels(trace, parts[kind], query)]
                for query in (True, False)
            ]
            return export.matrix_csv(joint_matrix.whole(parts).numpy(), *sides)

        def npz() -> bytes:
            names = {f"{kind}_head": f"{part.site}.{part.head}" for kind, part in parts.items()}
            heads = {kind: (part.site, part.head) for kind, part in parts.items()}
            recorded = joint_matrix.encoder_decoder_matrix(trace, heads)
            return export.npz(
                **{kind: part.weights.numpy() for kind, part in parts.items()},
                **{f"{kind}_allowed": part.allowed.numpy() for kind, part in recorded.items()},
                **{name: [value] for name, value in names.items()},
            )  # fmt: skip

        return {f"{slug}.csv": csv, f"{slug}.npz": npz}

    def figure():
        titles = (say("matrix.query"), say("matrix.key"), sink.legend())
        return pictures.static(trace, parts, end, titles)

    drawable = sum(parts[kind].weights.shape[0] for kind in ("encoder", "decoder")) <= 2 * joint_matrix.BINS
    loosest = figure_footer.loosest(trace, [part.site for part in parts.values()])
    badge = sink.told(figure_footer.site_badge(trace, loosest))
    made = (joint_matrix.encoder_decoder_matrix, joint_matrix.whole) + (
        (pooled,) if pooled_parts else (type(trace.record(trace.sites[0])).weights,)
    )
    figure_footer.draw("joint", " ".join(said), badge, files, figure if drawable else None, made)
