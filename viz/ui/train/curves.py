"""The curves of a run, which take new points in while one looks at them, and ten sentences with what it writes for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import export, numbers
from viz.ui import components, language
from viz.ui.components import plotly_script
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.theme import theme
from viz.ui.train import listed

if TYPE_CHECKING:
    import pandas as pd

    from model.lab.runs import Status
    from model.training.run_files.curves import Curves

_LOGS = "train-logs"
_POINTS = 600  # of one curve; beyond, each point is the mean of its neighbours
_WORDS = ("loss", "validation_loss", "perplexity", "exact_match", "accuracy", "bleu", "chrf", "learning_rate",
          "gradient_norm", "repeat_accuracy")  # fmt: skip


def show(found: Status) -> None:
    """What the log has, drawn; nothing before its first step."""
    logs = logs_of(found)
    if not any(log.step for log in logs):
        st.caption(say("train.no_steps"))
        return
    _drawn(found, logs)
    _written(logs)


def logs_of(found: Status) -> list[Curves]:
    """Read on from where the last look ended; a session keeps those of the run that it looks at."""
    from model.training.run_files.curves import Curves
    from model.training.seeds import folders_of

    kept = st.session_state.get(_LOGS)
    if kept is None or kept[0] != found.folder:
        kept = st.session_state[_LOGS] = (found.folder, [Curves(folder) for folder in folders_of(found.folder)])
    return [log.read() for log in kept[1]]


def _guess(logs: Sequence[Curves]) -> float | None:
    """ln |V|, from the card that the run wrote before its first step."""
    from model.lab.files import read

    told = read(logs[0].folder / "card.json").get("guess_loss")
    return float(told) if isinstance(told, int | float) else None


def _drawn(found: Status, logs: Sequence[Curves]) -> None:
    from model.training.objectives import loss_of
    from model.training.run_files.curves import thinned, together
    from viz.plotly_figures.training import PANELS, training_figure

    names = list(dict.fromkeys(name for log in logs for name in log.quantities))
    curves = {name: thinned(together(logs, name), _POINTS) for name in names}
    words = {name: say(f"train.{name}") for name in _WORDS} | {
        f"panel_{name}": say(f"train.panel_{name}") for name in PANELS
    }
    words |= {"step": say("train.step"), "guess": say("train.guess")}
    smoothing = _smoothing(found)
    if smoothing:
        words["loss"] = say("train.loss_smoothed", smoothing=f"{smoothing:g}")
    guess = _guess(logs)
    name = f"{listed.title_of(found.task)} · {found.folder.name}"
    figure = training_figure(curves, guess, words, theme(), name, str(found.folder))
    file = figure_footer.safe(f"{found.folder.name}-training")
    config = {"displaylogo": False, "modeBarButtons": [["toImage", "resetScale2d"]],
              "toImageButtonOptions": {"filename": file, "format": "png", "scale": 2}}  # fmt: skip
    told = {"figure": figure | {"config": config}, "script": plotly_script.address(),
            "alt": name, "words": language.group("curves")}  # fmt: skip
    components.curves(key="train-curves", data=told)
    parts = [say("train.curves_sentence")]
    if guess is not None:
        parts.append(say("train.guess_sentence", loss=numbers.short(guess, 4)))
    if len(logs) > 1:
        parts.append(say("train.band_sentence", n=len(logs)))
    most = max(len(log.curve("loss").steps) for log in logs)
    if most > _POINTS:
        parts.append(say("train.thinned", n=-(-most // _POINTS)))
    if smoothing:
        parts.append(say("train.smoothing_sentence", smoothing=f"{smoothing:g}"))
    figure_footer.draw(
        "train-curves", " ".join(parts), None, lambda: {f"{file}.csv": lambda: export.table_csv(_table(logs, names))},
        None, (loss_of,),
    )  # fmt: skip
    if signature := logs[0].signature:
        with st.expander(say("train.signature")):
            st.code(signature, language=None, wrap_lines=True)


def _smoothing(found: Status) -> float:
    """The label smoothing that is in the loss of the training, and in no other number."""
    from model.training.run_files.folder import run_of

    told = (run_of(found.folder) or {}).get("options", {}).get("label_smoothing")
    return float(told) if isinstance(told, int | float) else 0.0


def _table(logs: Sequence[Curves], names: Sequence[str]) -> pd.DataFrame:
    """Every number of the logs: a row a step, of several seeds one after the other."""
    import pandas as pd

    parts = []
    for log in logs:
        table = pd.DataFrame({"step": range(1, log.step + 1)}).set_index("step")
        for name in names:
            curve = log.curve(name)
            table[name] = pd.Series(list(curve.values), index=list(curve.steps), dtype=float)
        parts.append(table.reset_index().assign(seed=log.folder.name) if len(logs) > 1 else table.reset_index())
    return pd.concat(parts)


def _written(logs: Sequence[Curves]) -> None:
    """The sentences of the last evaluation of the seed that trains, beside those of the one before."""
    from viz.text import written

    log: Any = next((log for log in reversed(logs) if log.probes), None)
    if log is None:
        return
    (step, probes), *before = reversed(log.probes)
    if before:
        page_text.heading("train.written", n=len(probes), step=f"{step:,}", before=f"{before[0][0]:,}")
    else:
        page_text.heading("train.written", "train.written_first", n=len(probes), step=f"{step:,}")
    words = {name: say(f"train.{name}") for name in ("given", "wanted", "wrote", "changed")}
    st.html(written.table(probes, before[0][1] if before else None, words, theme()))
