"""The numbers of one or several evaluations as a table, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import export, numbers
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import jobs, model_list

if TYPE_CHECKING:
    from model.evaluation.evaluation import Evaluation

_WHY = 8  # refused lines that are listed


def show(found: Sequence[Evaluation], names: Sequence[str], key: tuple[Any, ...]) -> None:
    """names: of the models, as they are chosen."""
    page_text.heading("evaluate.numbers", what="")
    told = _compared(found, key) if len(found) > 1 else None
    rows = [
        _row(one, name, None if told is None else told.iloc[at])
        for at, (one, name) in enumerate(zip(found, names, strict=True))
    ]
    st.dataframe(
        {column: [row.get(column, "–") for row in rows] for column in max(rows, key=len)},
        hide_index=True,
        width="stretch",
    )
    one = found[0]
    sentence = say("evaluate.guess", v=f"{one.about['vocabulary']:,}", loss=numbers.short(one.guess, 4))
    tasks = dict.fromkeys(each.about["task"] for each in found)
    sentence += " " + " ".join(say(f"evaluate.how_{task}") for task in tasks)
    for each in found:
        if tried := each.about.get("languages"):
            losses = ", ".join(f"{language.name(code)} {numbers.short(loss, 3)}" for code, loss in tried.items())
            sentence = (
                f"{say('evaluate.told', language=language.name(each.about['language']), losses=losses)} {sentence}"
            )
            break
    if len(tasks) > 1:
        sentence += " " + say("evaluate.other_tasks")
    if told is not None:
        sentence += " " + _intervals(int(told["examples"].iloc[0]))
    slug = figure_footer.safe(f"{one.about['model']}-{one.about['file']}")
    figure_footer.draw(
        "evaluate-numbers", sentence, None, lambda: {f"{slug}-evaluation.csv": lambda: _csv(found, told)}, None, _code(len(found))
    )  # fmt: skip
    if one.translation is not None:
        st.caption(f"`{one.translation.signature}`")
    _grammar(one)
    _refused(found, names)


def _intervals(examples: int) -> str:
    """What the brackets and p are, or why there are none."""
    from model.evaluation import bootstrap

    if examples < bootstrap.FEWEST:
        return say("evaluate.no_intervals", n=examples, fewest=bootstrap.FEWEST)
    return say("evaluate.intervals", n=examples)


def _compared(found: Sequence[Evaluation], key: tuple[Any, ...]) -> Any:
    from model.evaluation.compare import compared

    return jobs.cached("evaluate", "compared", key, lambda: compared(found), say("evaluate.resampling"))


def _row(one: Evaluation, name: str, told: Any) -> dict[str, str]:
    """One model's numbers as text, intervals beside them where several are compared."""

    def shown(column: str, value: float, digits: int = 4, times: float = 1.0) -> str:
        text = numbers.short(value * times, digits) if math.isfinite(value) else "–"
        if told is None or f"{column}_low" not in told:
            return text
        low, high, p = (float(told[f"{column}_{part}"]) for part in ("low", "high", "p"))
        if not (math.isfinite(low) and math.isfinite(high)):
            return text
        text += f" [{numbers.short(low * times, 3)}, {numbers.short(high * times, 3)}]"
        return text if math.isnan(p) else f"{text} p {numbers.short(p, 2)}"

    row = {say("evaluate.model"): model_list.title(name)}
    if written := one.about["language"]:
        row[say("evaluate.writes")] = language.name(written)
    row |= {
        say("evaluate.examples"): f"{one.examples:,}",
        say("evaluate.tokens"): f"{one.tokens:,}",
        say("evaluate.loss"): shown("loss", one.loss),
        say("evaluate.perplexity"): numbers.short(one.perplexity, 4) if math.isfinite(one.perplexity) else "∞",
        say("evaluate.bits"): shown("bits_per_character", one.bits_per_character),
        say("evaluate.accuracy"): f"{one.accuracy:.2%}",
    }
    if (scores := one.translation) is not None:
        row |= {"BLEU": shown("bleu", scores.bleu), "chrF": shown("chrf", scores.chrf),
                say("evaluate.exact"): f"{scores.exact_match:.2%}"}  # fmt: skip
    return row


def _csv(found: Sequence[Evaluation], told: Any) -> bytes:
    import pandas as pd

    if told is not None:
        return export.table_csv(told)
    one = found[0].summary()
    return export.table_csv(pd.DataFrame([{name: value for name, value in one.items() if not isinstance(value, dict)}]))


def _code(several: int) -> tuple[Any, ...]:
    from model.evaluation import bootstrap
    from model.evaluation.scorer import predicted

    return (predicted, bootstrap.difference) if several > 1 else (predicted,)


def _grammar(one: Evaluation) -> None:
    """What our translator wrote, held against the grammar's rule."""
    if (found := one.grammar_errors) is None:
        return
    st.markdown(say(f"evaluate.rule_{found['rule']}", errors=f"{found['errors']:,}", places=f"{found['places']:,}"))
    for line, wrong in list(found["lines"].items())[:_WHY]:
        st.caption(say("evaluate.rule_line", line=f"{line:,}", phrases=", ".join(map(page_text.code, wrong))))


def _refused(found: Sequence[Evaluation], names: Sequence[str]) -> None:
    for one, name in zip(found, names, strict=True):
        if not one.refused:
            continue
        title = language.plain(model_list.title(name))
        with st.expander(say("evaluate.refused", model=title, n=f"{len(one.refused):,}")):
            for line, told in list(one.refused.items())[:_WHY]:
                st.caption(f"{say('evaluate.line', n=f'{line:,}')}: {language.plain(_why(told))}")


def _why(told: dict[str, Any]) -> str:
    """The reason in the page's language, where it has the sentence."""
    known = language.catalogue(language.current()).get(f"error.{told['code']}")
    try:
        return known.format(**told["values"]) if known and told["code"] != "error" else told["sentence"]
    except (KeyError, IndexError):
        return str(told["sentence"])
