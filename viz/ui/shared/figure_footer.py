"""The footer of a figure: one sentence, its fidelity badge, its data; red where a record does not give the module's output."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from model.trace.fidelity import share_or_worst
from model.trace.site import Site
from viz.base import export, numbers
from viz.ui.language import say
from viz.ui.shared.side_bar import site_name

if TYPE_CHECKING:
    import altair as alt

    from model.trace.trace import Trace


def fidelity_badge(error: float | None, limit: float | None) -> str:
    """“✓ 3·10⁻⁷” or a red statement; `limit` is how far off its arithmetic may leave it (`model.trace.fidelity`)."""
    return verdict(error, error is not None and limit is not None and error <= limit)


def verdict(error: float | None, holds: bool) -> str:
    """The same of a figure that was judged already; one that was not measured says so."""
    if error is None:
        return say("foot.unchecked")
    said = say(f"foot.{'checks' if holds else 'fails'}", error=numbers.short(error))
    return said if holds else f":red[{said}]"


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
    badge: str,
    files: Callable[[], dict[str, Callable[[], bytes]]],
    figure: Callable[[], alt.TopLevelMixin] | None = None,
    code: Sequence[Callable[..., object]] = (),
) -> None:
    """Small and grey under every figure: one sentence, how well it checks, its data, the figure as a file, the code that ran.

    files: names of the downloads and what makes them. figure: the chart to save. code: the functions whose source is shown.
    """
    with st.container(horizontal=True, vertical_alignment="center", key=f"foot-{name}"):
        st.caption(f"{sentence} {badge}", width="stretch")
        with st.popover(say("foot.data"), type="tertiary", width="content"):
            for file, make in _both(files()).items():
                _download(name, file, make)
        if figure is not None:
            from viz.base import static_chart

            with st.popover(say("foot.figure"), type="tertiary", width="content"):
                for kind, save in (("svg", static_chart.svg), ("png", static_chart.png)):
                    _download(name, f"headlight-{name}.{kind}", lambda save=save: save(figure()))
        if code:
            with st.popover(say("foot.code"), type="tertiary", width="content"):
                for function in code:
                    st.caption(f"`{function.__module__}.{function.__qualname__}`")
                    st.code(textwrap.dedent(inspect.getsource(function)), language="python")


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


def site_badge(trace: Trace, site: Site) -> str:
    """How well one sub-layer checks."""
    fidelity, name = trace.fidelity(), str(site)
    if not fidelity.logits_hold:  # then no sub-layer can be believed
        return f":red[{say('foot.logits_fail', error=numbers.short(fidelity.logits_error))}]"
    error = fidelity.sites.get(name)
    if error is None or not fidelity.holds_at(name):
        return verdict(error, False)
    return say(f"foot.{fidelity.compared.get(name, 'output')}", error=numbers.short(error))


def worst_badge(trace: Trace, sites: Sequence[Site]) -> str:
    """How well a figure of all these checks: the one that is worst by what its numbers allow."""
    known = [site for site in sites if str(site) in trace.fidelity().sites]
    return site_badge(trace, loosest(trace, known or sites))


def loosest(trace: Trace, sites: Sequence[Site]) -> Site:
    """Of several sub-layers the one that checks least well: a figure of all of them is as good as that one."""
    fidelity = trace.fidelity()

    def share(site: Site) -> float:
        return share_or_worst(fidelity.relative_at(str(site))) if str(site) in fidelity.sites else 0.0

    return max(dict.fromkeys(sites), key=share)


def safe(name: str) -> str:
    """A model's name as the beginning of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "model"


def drawing_files(name: str, picture: str) -> dict[str, Callable[[], bytes]]:
    """A drawing as an SVG and a PNG file."""
    from viz.base import svg

    return {f"{name}.svg": picture.encode, f"{name}.png": lambda: svg.png(picture)}
