"""The footer of a figure: one sentence, how it checks, its files; red where a record does not give the module's output."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from model.trace.site import Site
from viz.base import export, numbers
from viz.base.check_note import CheckNote, note, stamped
from viz.base.shorten import shorten
from viz.ui import session
from viz.ui.language import say
from viz.ui.shared.side_bar import site_name
from viz.ui.state import model_list, view

# Figures of other runs than the page's: of a corpus, of repeats, of permuted words, of a training.
_NOT_OF_THE_TEXT = ("corpus", "measures-induction", "positions-", "by-hand", "forming", "evaluate")
_QUOTED = 80  # characters of a text that a saved picture names

if TYPE_CHECKING:
    import altair as alt

    from model.trace.trace import Trace


def fidelity_badge(error: float | None, limit: float | None, trace: Trace | None = None) -> CheckNote:
    """How well a figure's own arithmetic checks; `limit` is how far off it may be (`model.trace.fidelity`).

    trace: the run that it is of; where its logits fail, no figure of it holds.
    """
    if trace is not None and not trace.fidelity().logits_hold:
        return logits_badge(trace)
    return verdict(error, error is not None and limit is not None and error <= limit)


def verdict(error: float | None, holds: bool) -> CheckNote:
    """The same of a figure that was judged already; one that was not measured says so."""
    if error is None:
        return note(say("foot.unchecked"))
    return note(say(f"foot.{'checks' if holds else 'fails'}", error=numbers.short(error)), holds)


def refused(trace: Trace, site: Site) -> bool:
    """Where the record does not imply what the module put out there is no picture, but a red statement."""
    fidelity = trace.fidelity()
    if fidelity.holds_at(str(site)):
        return False
    error = numbers.short(fidelity.sites[str(site)])
    st.error(say("foot.refused", site=site_name(site), error=error), icon=":material/error:")
    return True


def draw(
    name: str,
    sentence: str,
    check: CheckNote | None,
    files: Callable[[], dict[str, Callable[[], bytes]]],
    figure: Callable[[], alt.TopLevelMixin | str] | None = None,
    code: Sequence[Callable[..., object]] = (),
) -> None:
    """Small and grey under every figure: one sentence, how well it checks, its data, the figure as a file, the code that ran.

    check: None of a figure of no run (a formula, the weights themselves, a list); every file says it (`made`).
    files: names of the downloads and what makes them. figure: the chart, or the drawing as SVG, to save. code: the functions
    whose source is shown.
    """
    with st.container(horizontal=True, vertical_alignment="center", key=f"foot-{name}"):
        st.caption(f"{sentence} {'' if check is None else check.markdown}".rstrip(), width="stretch")
        data, pictures = made(name, check, files, figure)
        for word, offered in (("data", data), ("figure", pictures)):
            if offered:
                with st.popover(say(f"foot.{word}"), type="tertiary", width="content"):
                    for file, make in offered.items():
                        _download(name, file, make)
        if code:
            with st.popover(say("foot.code"), type="tertiary", width="content"):
                for function in code:
                    st.caption(f"`{function.__module__}.{function.__qualname__}`")
                    st.code(_source(function), language="python")


@cache
def _source(function: Callable[..., object]) -> str:
    """As it stands in its file, which is read through for it: once, not at every run of a page."""
    return textwrap.dedent(inspect.getsource(function))


def made(
    name: str,
    check: CheckNote | None,
    files: Callable[[], dict[str, Callable[[], bytes]]],
    figure: Callable[[], alt.TopLevelMixin | str] | None = None,
) -> tuple[dict[str, Callable[[], bytes]], dict[str, Callable[[], bytes]]]:
    """The downloads of a figure, data and pictures, by their names; each says how it checks (`viz.base.check_note`).

    They are made when the page has run, with the words and the selection that it ran with.
    """
    data = {
        file: session.as_now(lambda file=file, make=make: stamped(file, make(), check))
        for file, make in _both(files()).items()
    }  # fmt: skip
    if figure is None:
        return data, {}

    source = _of_what(name)

    def drawn() -> bytes:
        from viz.base import static_chart

        picture = figure()
        plain = picture.encode("utf-8") if isinstance(picture, str) else static_chart.svg(picture)
        return stamped(".svg", plain, check, source + _key(plain))

    def file() -> bytes:
        from viz.base import svg

        return svg.faced(drawn().decode("utf-8")).encode("utf-8")

    def png() -> bytes:
        from viz.base import svg

        return svg.png(drawn().decode("utf-8"))

    # Named as its table is: by the model, the layer and the head.
    stem = next(iter(data)).rsplit(".", 1)[0] if data else f"headlight-{name}"
    return data, {f"{stem}.svg": session.as_now(file), f"{stem}.png": session.as_now(png)}


def _of_what(name: str) -> str:
    """What a saved picture is of: the model, and the text where it is of the run of one. name: the figure's."""
    now = view.current()
    if name.startswith(_NOT_OF_THE_TEXT) or not now.text:
        return model_list.title(now.model)
    return f"{model_list.title(now.model)} · {shorten(now.text, _QUOTED)}"


def _key(picture: bytes) -> str:
    """What the sign of masked cells means, where a picture has it."""
    return f" · {say('foot.masked')}" if ">×</text>".encode() in picture else ""


def _both(files: dict[str, Callable[[], bytes]]) -> dict[str, Callable[[], bytes]]:
    """A table that is offered for reading only is offered for computing too."""
    kinds = {file.rsplit(".", 1)[-1]: file for file in files}
    if "csv" in kinds and "npz" not in kinds:
        return files | {f"{kinds['csv'][:-4]}.npz": lambda: export.csv_npz(files[kinds["csv"]]())}
    return files


def _download(name: str, file: str, make: Callable[[], bytes]) -> None:
    """A button whose bytes are made when it is pressed."""
    kind = file.rsplit(".", 1)[-1]
    st.download_button(
        say(f"foot.{kind}"), make, file_name=file, key=f"{name}-{kind}", on_click="ignore", type="tertiary"
    )


def site_badge(trace: Trace, site: Site) -> CheckNote:
    """How well one sub-layer checks, against what, and its name where it does not."""
    fidelity, name = trace.fidelity(), str(site)
    if not fidelity.logits_hold:  # then no sub-layer can be believed
        return logits_badge(trace)
    error, compared = fidelity.sites.get(name), fidelity.compared.get(name, "output")
    if error is None:
        return verdict(None, False)
    if fidelity.holds_at(name):
        found = note(say(f"foot.{compared}", error=numbers.short(error)), True)
        # A second run of a long text costs as much as the recorded one: it is left out, and that is said.
        if not trace.predicts or fidelity.logits_error is not None:
            return found
        return found + note(say("foot.logits_edited" if trace.facts.get("edits") else "foot.logits_open"))
    return note(say(f"foot.fails_{compared}", site=site_name(site), error=numbers.short(error)), False)


def worst_badge(trace: Trace, sites: Sequence[Site]) -> CheckNote:
    """How well a figure of all these checks: the one that is worst by what its numbers allow."""
    return site_badge(trace, loosest(trace, sites)) if sites else verdict(None, False)


def logits_badge(trace: Trace) -> CheckNote:
    """How far the recorded run's logits are from those of the untouched model."""
    fidelity = trace.fidelity()
    if fidelity.logits_error is None:
        return verdict(None, False)
    word = "logits_hold" if fidelity.logits_hold else "logits_fail"
    return note(say(f"foot.{word}", error=numbers.short(fidelity.logits_error)), fidelity.logits_hold)


def run_badge(trace: Trace) -> CheckNote:
    """Of a figure that has no right answer of its own: how well the run checks, by its logits unless a sub-layer fails."""
    fidelity = trace.fidelity()
    failing = [site for site in trace.sites if not fidelity.holds_at(str(site))]
    if failing or fidelity.logits_error is None:
        return worst_badge(trace, failing or trace.sites)
    return logits_badge(trace)


def loosest(trace: Trace, sites: Sequence[Site]) -> Site:
    """Of several sub-layers the one that checks least well (`Fidelity.worst`), the first where none was measured."""
    worst = trace.fidelity().worst(map(str, sites))
    return next((site for site in sites if str(site) == worst), sites[0])


def safe(name: str) -> str:
    """A model's name as the beginning of a file's name."""
    return export.file_name(name)
