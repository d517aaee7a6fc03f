"""Under every figure, small and grey: one sentence, how well it checks, its data; red where a record does not hold."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from model.trace.site import Site
from viz.base import export, numbers
from viz.ui.language import say
from viz.ui.shared.side_bar import site_name

if TYPE_CHECKING:
    from model.trace.trace import Trace

if TYPE_CHECKING:
    import altair as alt

    from model.trace.trace import Trace


def fidelity_badge(error: float | None, limit: float | None = None) -> str:
    """“✓ 3·10⁻⁷” or a red statement; `limit` is how far off the record's arithmetic may leave it."""
    from model.trace.fidelity import TOLERANCE

    if error is None:
        return ""
    if error <= (TOLERANCE if limit is None else limit):
        return say("foot.checks", error=numbers.short(error))
    return f":red[{say('foot.fails', error=numbers.short(error))}]"


def refused(trace: Trace, site: Site) -> bool:
    """Where the record does not imply what the module put out there is no picture, but a red statement."""
    fidelity = trace.fidelity()
    if fidelity.holds_at(str(site)):
        return False
    error = numbers.short(fidelity.sites[str(site)])
    st.error(say("foot.refused", site=site_name(site), error=error), icon=":material/error:")
    return True


def foot(
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
                for kind, draw in (("svg", static_chart.svg), ("png", static_chart.png)):
                    _download(name, f"headlight-{name}.{kind}", lambda draw=draw: draw(figure()))
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
    fidelity = trace.fidelity()
    return fidelity_badge(fidelity.sites.get(str(site)), fidelity.limits.get(str(site)))


def worst_badge(trace: Trace, sites: Sequence[Site]) -> str:
    """How well a figure of all these checks: the one that is worst by its own limit."""
    from model.trace.fidelity import TOLERANCE

    fidelity = trace.fidelity()
    known = [(fidelity.sites[name], fidelity.limits.get(name)) for name in map(str, sites) if name in fidelity.sites]
    return fidelity_badge(*max(known, key=lambda pair: pair[0] / (pair[1] or TOLERANCE))) if known else ""


def loosest(trace: Trace, sites: Sequence[Site]) -> Site:
    """Of several sub-layers the one that checks least well: a figure of all of them is as good as that one."""
    errors = trace.fidelity().sites
    return max(dict.fromkeys(sites), key=lambda site: errors.get(str(site)) or 0.0)


def safe(name: str) -> str:
    """A model's name as the beginning of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "model"


def drawing_files(name: str, picture: str) -> dict[str, Callable[[], bytes]]:
    """A drawing as an SVG and a PNG file."""
    from viz.base import svg

    return {f"{name}.svg": picture.encode, f"{name}.png": lambda: svg.png(picture)}
