"""One step of training: the loss that it lowers, and the attention that it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from model.errors import HeadlightError
from viz.base import numbers, tokens
from viz.ui import language
from viz.ui.compare import two_heads
from viz.ui.compare.pair import HeadOfRun, HeadPair
from viz.ui.language import say
from viz.ui.output.tables import WIDTH
from viz.ui.shared import figure_footer, page_text, side_bar
from viz.ui.state import jobs, memory_budget, page_controls, view

if TYPE_CHECKING:
    from model.checkpoints.library.outputs import TrainingStep
    from model.compare.aligned_runs import HeadChange
    from model.trace.trace import Trace

_RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3]
# A weight is made of float32 numbers: changes below this are within what rounding does to it.
_ROUNDING = 1e-6


def show(model: Any, trace: Trace, how: dict[str, Any]) -> None:
    """One step of training on this pair, on a copy. how: as this run read its text."""
    from model.checkpoints.library import outputs

    page_text.heading("output.training")
    text = trace.key.source
    left, middle, right = st.columns([5, 2, 1], vertical_alignment="bottom")
    target = left.text_input(say("output.labels"), key="train-target", placeholder=say("output.labels_example"))
    rate = middle.select_slider(say("output.rate"), _RATES, format_func=lambda r: f"{r:.0e}",
                                **page_controls.among("train-rate", 1e-4, _RATES))  # fmt: skip
    asked = (view.current().model, text, target, rate, *how.items())
    if right.button(say("output.step"), key="train-step"):
        st.session_state.trained = None  # a step holds two runs: the one before goes first
        st.session_state.trained = work(
            ("train", *asked), lambda: outputs.training_step(model, text, target, learning_rate=rate, **how)
        )
        st.session_state.trained_for = asked
        if found := st.session_state.trained:  # its two runs count among all that are kept
            memory_budget.shared().get("runs", ("train", *asked), lambda: found, _held_bytes)
    found = st.session_state.get("trained") if st.session_state.get("trained_for") == asked else None
    if found is not None:
        _losses(found)
        _attention(found)


def _held_bytes(found: TrainingStep) -> int:
    return found.before.held_bytes() + found.after.held_bytes()


def work(key: tuple[Any, ...], job: Any) -> Any:
    """Run it with a bar and Stop; what goes wrong is one sentence and no result."""
    try:
        return jobs.run(key, job, say(f"wait.{key[0]}"), pressed=True)
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        return None


def _losses(found: TrainingStep) -> None:
    columns = st.columns(3)
    columns[0].metric(say("output.loss_before"), numbers.short(found.loss_before, 5))
    # Streamlit takes a change for a fall only where its sign is the keyboard's.
    change = numbers.short(found.loss_after - found.loss_before).replace("−", "-")
    columns[1].metric(say("output.loss_after"), numbers.short(found.loss_after, 5), delta=change, delta_color="inverse")
    columns[2].metric("‖∇‖", numbers.short(found.gradient_norm, 4))
    labels = [tokens.readable(label) for label in found.labels]
    st.caption(f"{say('output.scored', n=len(labels))} {' '.join(map(page_text.code, labels))}")
    before, after = zip(*found.probabilities, strict=True)
    bar = st.column_config.ProgressColumn(format=" ", min_value=0.0, max_value=1.0)
    named = {key: (say(f"output.p_{key}"), say(f"output.p_{key}_bar")) for key in ("before", "after")}
    columns = {say("output.scored_token"): labels}
    for (name, drawn), values in zip(named.values(), (before, after), strict=True):
        columns |= {name: [numbers.short(p, 4) for p in values], drawn: values}
    st.dataframe(
        columns, hide_index=True, width=WIDTH, column_config={drawn: bar for _, drawn in named.values()}
    )  # fmt: skip


def _attention(found: TrainingStep) -> None:
    """The selected head on the pair that was learned from: before the step, after it, and what changed."""
    page_text.heading("output.attention_changed")
    before, after = found.before, found.after
    side_bar.head_picker(before, words=False)
    ranked = _ranked(found)
    _most(ranked[0])
    site, head, _, _ = view.selected()
    if any(figure_footer.refused(run, site) for run in (before, after)):
        return
    queries, keys = (tuple((i, i) for i in range(len(before.side(side).tokens)))
                     for side in (site.query_side, site.key_side))  # fmt: skip
    ends = (
        HeadOfRun(before, site, head, say("output.before_step")),
        HeadOfRun(after, site, head, say("output.after_step")),
    )
    two = HeadPair("step", ends, queries, keys, say("output.step_less"))
    two_heads.matrices(two)
    pair = two_heads.compared(two)
    size, i, j = pair.largest
    texts = two.both()
    said = say(
        "output.attention_sentence", mean=numbers.short(pair.mean), most=numbers.short(size),
        query=page_text.code(texts[0][i]), column=page_text.code(texts[1][j]),
    )  # fmt: skip
    if size < _ROUNDING:
        said += " " + say("output.attention_rounding", size=numbers.short(_ROUNDING))
    slug = f"{figure_footer.safe(before.key.model)}-{site}-head{head}-training-step"
    two_heads.draw_footer(two, pair, said, slug, (_step(),))
    st.caption(say("output.attention_limits"))


def _step() -> Any:
    from model.checkpoints.library.outputs import training_step

    return training_step


def _ranked(found: TrainingStep) -> tuple[HeadChange, ...]:
    """Every head by how much the step changed it, most first."""
    from model.compare import aligned_runs

    both = found.before, found.after
    return jobs.cached(
        "output", "changed", (both[0].key, both[1].key),
        lambda: aligned_runs.ranked_changes(*both, aligned_runs.aligned_sides(*both)), say("output.wait_changed"),
    )  # fmt: skip


def _most(most: HeadChange) -> None:
    """The head that the step changed most, and a press that picks it."""
    name = two_heads.head_name(most.site, most.head)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(say("output.most_changed", head=name, mean=numbers.short(most.mean)), width="content")
        if (str(most.site), most.head) != (view.current().site, view.current().head):
            st.button(
                say("output.pick_changed"), key="train-most", type="tertiary", on_click=view.change,
                kwargs={"site": str(most.site), "head": most.head, "heads": ""},
            )  # fmt: skip
