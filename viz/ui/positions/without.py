"""Without positions: the words of this run and a permutation of them, through the encoder with and without positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import numbers, tokens
from viz.ui.language import say
from viz.ui.positions.common import WORDS, files, grid, static, texts
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import jobs, model_list, page_controls, view

if TYPE_CHECKING:
    from model.positions.tables import Shuffled
    from model.trace.trace import Trace

_ORDERS = ("reversed", "shifted", "swapped")


def order_of(kind: str, n: int) -> list[int]:
    """Which word stands at each place: all backwards, each one place on, or the first two exchanged."""
    every = list(range(n))
    if kind == "reversed":
        return every[::-1]
    if kind == "shifted":
        return every[-1:] + every[:-1]
    return [*every[1::-1], *every[2:]]


def without(trace: Trace, model: Any) -> None:
    """Two rows of two matrices: the words as typed and permuted, without positions and with them."""
    if not model_list.is_ours(view.model_of(trace)) or model is None:
        st.info(say("positions.without_none"), icon=":material/info:")
        return
    if "encoder" not in trace.sides:
        st.info(say("positions.without_causal"), icon=":material/info:")
        return
    labels = tokens.labels(trace, "encoder")
    if len(labels) < 2:
        st.info(say("positions.one_word"), icon=":material/info:")
        return
    kind = st.segmented_control(
        say("positions.order"), _ORDERS, format_func=lambda k: say(f"positions.order_{k}"), required=True,
        **page_controls.among("positions-order", "reversed", _ORDERS),
    )  # fmt: skip
    order = order_of(kind or "reversed", len(labels))
    site, head, _, _ = view.selected()
    layer = site.layer if str(site).startswith("encoder") else 0
    with_them, without_them = _run(trace, model, tuple(order), layer, head)
    moved = [labels[i] for i in order]
    said = [" ".join(page_text.code(text) for text in texts(part)) for part in (labels, moved)]
    st.markdown(say("positions.permuted", words=said[0], permuted=said[1], layer=layer, head=head))
    for name, found in (("without", without_them), ("with", with_them)):
        _row(name, found, labels, moved)


def _run(trace: Trace, model: Any, order: tuple[int, ...], layer: int, head: int) -> tuple[Shuffled, Shuffled]:
    """(with positions, without), kept for this session until the run, the order or the head is another."""
    from model.positions.tables import shuffle, without_positions

    key = (trace.key, order, layer, head)

    def both() -> tuple[Shuffled, Shuffled]:
        ids = trace.token_ids("encoder"), trace.token_ids("decoder") if "decoder" in trace.sides else None
        twin = without_positions(model.module)
        with model.lock:
            return tuple(shuffle(module, *ids, order, layer, head) for module in (model.module, twin))

    return jobs.cached("positions", "shuffled", key, both, say("wait.running"))


def _row(name: str, found: Shuffled, labels: list, moved: list) -> None:
    from model.positions.tables import shuffle, without_positions
    from viz.steps.equation import WEIGHTS

    page_text.heading(
        "positions.without_name" if name == "without" else "positions.with_name",
        small=True, error=numbers.short(found.error),
    )  # fmt: skip
    left, right = st.columns(2, gap="large")
    drawn = (("plain", left, found.plain, labels), ("shuffled", right, found.shuffled, moved))
    for part, column, values, own in drawn:
        with column:
            st.caption(say(f"positions.{part}_name"))
            grid(part, values.numpy(), own, own, WEIGHTS, WORDS, max_height=300, suffix=f"-{name}")
    back, names = found.back.numpy(), texts(labels)
    badge = (
        figure_footer.fidelity_badge(found.error, found.limit)
        if name == "without"
        else figure_footer.verdict(None, False)
    )
    sentence = say(f"positions.{name}_sentence", largest=numbers.short(found.largest))
    figure_footer.draw(f"positions-{name}", sentence, badge, files(name, back, names, names),
              static(back, names, names, WEIGHTS, WORDS), [shuffle, without_positions])  # fmt: skip
