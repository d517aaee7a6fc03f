"""The usual mistakes with masks, each computed on the selected head's recorded scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.widgets import parts

if TYPE_CHECKING:
    import altair as alt
    import numpy as np

    from viz.ui.masks.common import MaskSelection

MISTAKES = ("queries", "zero", "finite", "after")


def show(chosen: MaskSelection) -> None:
    """A switch, what learners get wrong in one sentence, and the mistake itself."""
    page_text.heading("masks.mistakes")
    name = parts("mistake", say("masks.mistakes"), MISTAKES, "queries", lambda m: say(f"masks.wrong_{m}"))
    st.markdown(say(f"masks.wrong_{name}_what", real=_padded(chosen), last=chosen.cuts[0].stop - 1))
    {"queries": _queries, "zero": _zero, "finite": _finite, "after": _after}[name](chosen)


def _words(alt: str) -> dict[str, str]:
    return language.group("equation") | {"alt": alt, "help": say("equation.help_cell")}


def _draw(key: str, frame: bytes, chosen: MaskSelection) -> None:
    from viz.ui.masks.common import select

    components.equation(key=key, data=frame, on_select_change=lambda: select(key, chosen))


def _files(chosen: MaskSelection, name: str, values) -> Callable[[], dict[str, Callable[[], bytes]]]:
    rows, columns = chosen.texts()
    return lambda: {f"{chosen.slug}-{name}.csv": lambda: export.matrix_csv(values, rows, columns)}


def _figure(chosen: MaskSelection, *parts: tuple[str, np.ndarray]) -> Callable[[], alt.HConcatChart]:
    """The same matrices for a file, with the tokens on both sides of each."""

    def draw() -> alt.HConcatChart:
        from viz.base import static_chart

        rows, columns = chosen.texts()
        return static_chart.in_a_row([(symbol, values, rows, columns[chosen.cuts[1]]) for symbol, values in parts])

    return draw


def _padded(chosen: MaskSelection) -> int:
    """How many queries are real: the slider's number of keys or all but two, so that rows of padding are among those drawn."""
    last = chosen.cuts[0].stop
    real = chosen.real if chosen.kind in ("padding", "both") else last
    return real if real < last else max(1, last - 2)


def _queries(chosen: MaskSelection) -> None:
    """−∞ on the query axis."""
    import torch

    from model.attention import mask_effects
    from viz.heads import masks as pictures

    real = _padded(chosen)
    weights, context = mask_effects.on_queries(chosen.single, real, chosen.cuts[0])
    v = chosen.single.head("v", 0, torch.float64)[chosen.cuts[1]]
    frame = pictures.wrong_context_frame(
        chosen.trace, chosen.site, weights[:, chosen.cuts[1]].numpy(), v.numpy(), context.numpy(),
        ~chosen.single.allowed(*chosen.cuts).numpy(), chosen.cuts, chosen.at, _words(say("masks.wrong_queries_alt", real=real)),
    )  # fmt: skip
    _draw("masks-queries", frame, chosen)
    rows = int(weights.isnan().any(-1).sum())
    own = mask_effects.fused_row(chosen.single)
    torchs = say("masks.fused_nan") if bool(own.isnan().any()) else say("masks.fused_zero")
    said = say("masks.wrong_queries_said", rows=rows, numbers=f"{int(context.isnan().sum()):,}", torch=torchs)
    figure = _figure(chosen, ("A", weights[:, chosen.cuts[1]].numpy()))
    figure_footer.draw("masks-queries", said, chosen.check, _files(chosen, "query-axis", weights.numpy()), figure,
              (mask_effects.on_queries, mask_effects.fused_row))  # fmt: skip


def _zero(chosen: MaskSelection) -> None:
    """Padding found by id 0, in a vocabulary that keeps no place for it."""
    from model.attention import mask_effects
    from viz.heads import masks as pictures

    side = chosen.trace.side(chosen.site.key_side)
    ids = mask_effects.counted_from_zero(side.tokens)
    gone = mask_effects.hidden(ids)
    found = mask_effects.with_keys_masked(chosen.single, gone, chosen.cuts[0])
    own_dead = ~chosen.single.allowed(*chosen.cuts).numpy()
    own = [i for i, hidden in enumerate(mask_effects.hidden(side.ids).tolist()) if hidden]
    frame = pictures.wrong_frame(
        chosen.trace, chosen.site,
        [("A", found.open[:, chosen.cuts[1]].numpy(), own_dead),
         ("A'", found.weights[:, chosen.cuts[1]].numpy(), ~found.allowed[:, chosen.cuts[1]].numpy())],
        chosen.cuts, chosen.at, _words(say("masks.wrong_zero_alt")),
    )  # fmt: skip
    _draw("masks-zero", frame, chosen)
    at = chosen.at[0] - chosen.cuts[0].start
    texts = [label["text"] for label in tokens.key_labels(chosen.trace, chosen.site)]
    shown = range(*chosen.cuts[1].indices(len(texts)))
    with st.expander(say("masks.wrong_zero_table"), expanded=False):
        st.dataframe(
            {say("card.token"): [texts[j] for j in shown], say("masks.own_id"): [side.ids[j] for j in shown],
             say("masks.zero_id"): [ids[j] for j in shown],
             say("masks.taken"): [say("masks.taken_yes") if ids[j] == 0 else "" for j in shown]},
            hide_index=True, width=560,
        )  # fmt: skip
    said = say("masks.wrong_zero_said", token=tokens.readable(side.tokens[0]), n=int(gone.sum()),
               lost=numbers.short(float(found.masked_mass[at]), 4))  # fmt: skip
    reserved = say("masks.own_zero", n=len(own)) if own else say("masks.own_zero_none")
    figure = _figure(
        chosen, ("A", found.open[:, chosen.cuts[1]].numpy()), ("A′", found.weights[:, chosen.cuts[1]].numpy())
    )
    figure_footer.draw("masks-zero", f"{said} {reserved}", chosen.check, _files(chosen, "id-0", found.weights.numpy()), figure,
              (mask_effects.counted_from_zero, mask_effects.hidden, mask_effects.with_keys_masked))  # fmt: skip


def _finite(chosen: MaskSelection) -> None:
    """A large negative number in the place of −∞, in four dtypes."""
    import torch

    from model.attention import mask_effects
    from viz.heads import masks as pictures

    row = chosen.at[0]
    scores = mask_effects.with_mask(chosen.single, mask_effects.RuleMask()).scores(
        0, slice(row, row + 1), dtype=torch.float64
    )[0]
    allowed = mask_effects.mask_of(chosen.record, chosen.kind, chosen.real, chosen.width).allowed(
        chosen.record.queries, chosen.record.keys, slice(row, row + 1)
    )[0]
    found = mask_effects.fills(scores, allowed)
    st.markdown(pictures.fill_table(found, language.group("masks")))

    def csv() -> bytes:
        import pandas as pd

        table = pd.DataFrame([(f.dtype, f.name, f.leak, *f.dead) for f in found],
                             columns=["dtype", "fill", "leak", "dead_least", "dead_most"])  # fmt: skip
        return export.table_csv(table)

    figure_footer.draw("masks-finite", say("masks.wrong_finite_said", query=row), chosen.check,
              lambda: {f"{chosen.slug}-fills.csv": csv}, code=(mask_effects.fills,))  # fmt: skip


def _after(chosen: MaskSelection) -> None:
    """Zeros put in after the softmax."""
    from model.attention import mask_effects
    from viz.heads import masks as pictures

    mask = mask_effects.mask_of(chosen.record, chosen.kind, chosen.real, chosen.width)
    found = mask_effects.masked(chosen.single, mask, chosen.cuts[0])
    wrong = mask_effects.after_softmax(found)
    dead = ~found.allowed[:, chosen.cuts[1]].numpy()
    frame = pictures.wrong_frame(
        chosen.trace, chosen.site,
        [("A'", wrong[:, chosen.cuts[1]].numpy(), dead), ("A", found.weights[:, chosen.cuts[1]].numpy(), dead)],
        chosen.cuts, chosen.at, _words(say("masks.wrong_after_alt")),
    )  # fmt: skip
    _draw("masks-after", frame, chosen)
    at = chosen.at[0] - chosen.cuts[0].start
    sums = wrong.sum(-1)
    said = say(
        "masks.wrong_after_said", here=numbers.short(float(sums[at]), 4), least=numbers.short(float(sums.min()), 4)
    )
    figure = _figure(chosen, ("A′", wrong[:, chosen.cuts[1]].numpy()), ("A", found.weights[:, chosen.cuts[1]].numpy()))
    figure_footer.draw(
        "masks-after",
        said,
        chosen.check,
        _files(chosen, "after-softmax", wrong.numpy()),
        figure,
        (mask_effects.after_softmax,),
    )
