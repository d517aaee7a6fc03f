"""The next token, or the one in a gap: logits, their softmax, and what a temperature makes of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.widgets import listed, signed
from viz.ui.state import page_controls, view

if TYPE_CHECKING:
    from torch import Tensor

    from model.generation.temperature import Tempered
    from model.trace.trace import Trace

_TOP = 10


def show(trace: Trace, gap: bool) -> None:
    """The likeliest tokens after a position that can be chosen (or at it, where the model fills gaps)."""
    from model.generation.temperature import tempered

    page_text.heading("output.gap" if gap else "output.next")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        at = _position(trace, gap)
        temperature = st.slider(
            say("output.temperature_slider"), 0.1, 3.0, step=0.1, width=260, help=say("output.temperature_help"),
            **page_controls.between("output-T", 1.0, 0.1, 3),
        )  # fmt: skip
    found = tempered(trace.store, at, temperature, _TOP)
    if found is not None:
        _candidates(trace, found, at, temperature)


def _position(trace: Trace, gap: bool) -> int:
    """Where it is asked: the gap, or the selected token, which another choice selects on every page, or the end."""
    side = trace.predicting_side
    labels = tokens.places(trace, side)
    gaps = trace.facts.get("gaps") or ()
    if not gaps and view.selected()[0].query_side == side:
        row = min(view.current().row, len(labels) - 1)
        key = listed("output-token", row, labels)
        return st.selectbox(
            say("output.at"), range(len(labels)), format_func=labels.__getitem__, width=320, key=key,
            on_change=lambda: view.change(row=st.session_state[key]),
        )  # fmt: skip
    told = view.selected_token(side)
    at = gaps[0] if gaps else len(labels) - 1 if told is None else min(told, len(labels) - 1)
    how = page_controls.among(
        f"output-at@{zlib.crc32(repr((trace.key, language.current())).encode()):08x}", at, range(len(labels))
    )
    return st.selectbox(say("output.at"), range(len(labels)), format_func=labels.__getitem__, width=320, **how)


def _name(trace: Trace, i: int) -> str:
    return tokens.readable(trace.vocabulary[i] if i < len(trace.vocabulary) else f"#{i}")


def _candidates(trace: Trace, found: Tempered, at: int, temperature: float) -> None:
    from model.generation.temperature import tempered
    from model.trace import logits
    from viz import output

    names = [_name(trace, int(i)) for i in found.ids]
    candidates = output.table(found, names)
    words = {"probability": say("steps.probability"), "alt": say("output.next_alt", t=f"{temperature:g}")}
    st.latex(_formula(found, temperature))
    _table(candidates, found, temperature)
    said = [say("output.rest", p=_rest(found.plain))]
    if temperature != 1 and found.exact:
        said.append(say("output.rest_at", p=_rest(found.low), t=f"{temperature:g}"))
    if found.entropy is not None:
        said.append(_entropy(found.entropy, temperature))
    if not found.exact:
        said.append(say("output.range", n=logits.LIKELIEST))
    files: dict[str, Callable[[], bytes]] = {
        f"{figure_footer.safe(trace.key.model)}-next-{at}.csv": lambda: export.table_csv(
            output.saved(candidates, temperature, found.exact)
        )
    }
    figure_footer.draw("output-next", " · ".join(said), figure_footer.logits_badge(trace), lambda: files,
              lambda: output.bars(candidates, temperature, words), (tempered, logits.parts))  # fmt: skip


def _rest(listed: Tensor) -> str:
    """What all tokens that are not listed have together."""
    return numbers.short(max(0.0, 1 - float(listed.sum())))


def _entropy(entropy: tuple[float, float], temperature: float) -> str:
    before, after = (numbers.short(value, 4) for value in entropy)
    if temperature == 1:
        return say("output.entropy_plain", before=before)
    return say("output.entropy", before=before, after=after, t=f"{temperature:g}")


def _formula(tempered: Tempered, temperature: float) -> str:
    """The softmax, and the same with the likeliest token's numbers."""
    z, p = numbers.tex(float(tempered.logits[0]), 4), numbers.tex(float(tempered.low[0]), 4)
    high = numbers.tex(float(tempered.high[0]), 4)
    value = p if p == high else rf"{p}\ldots{high}"
    if temperature == 1:
        return rf"p_i = \frac{{e^{{z_i}}}}{{\sum_j e^{{z_j}}}},\qquad p_1 = \frac{{e^{{{z}}}}}{{\sum_j e^{{z_j}}}} = {value}"
    over = f"/{temperature:g}"
    return (
        rf"p_i = \frac{{e^{{z_i/T}}}}{{\sum_j e^{{z_j/T}}}},\qquad "
        rf"p_1 = \frac{{e^{{{z}{over}}}}}{{\sum_j e^{{z_j{over}}}}} = {value}"
    )


def _table(candidates, tempered: Tempered, temperature: float) -> None:
    """Token, id, logit, probability; at another temperature its probability beside the model's own."""
    bar = st.column_config.ProgressColumn(format="%.4f", min_value=0.0, max_value=1.0)
    columns = {
        say("card.token"): candidates["token"],
        say("card.id"): candidates["id"],
        say("output.logit"): candidates["logit"],
        say("steps.probability"): candidates["p"],
        say("steps.exact"): [numbers.short(p, 4) for p in candidates["p"]],
    }
    config = {say("steps.probability"): bar}
    if temperature != 1:
        name = f"T = {temperature:g}"
        if tempered.exact:
            columns[name], config[name] = candidates["p_T_low"], bar
        else:
            ends = zip(candidates["p_T_low"], candidates["p_T_high"], strict=True)
            columns[name] = [f"{numbers.short(low, 3)} … {numbers.short(high, 3)}" for low, high in ends]
    table = signed(pd.DataFrame(columns), {say("output.logit"): 4})
    st.dataframe(table, column_config=config, hide_index=True, width=760 if temperature == 1 else "stretch")
