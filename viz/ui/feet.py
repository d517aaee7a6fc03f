"""Under every figure, small and grey: one sentence, how well it checks, its data; red where a record does not hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.sites import Site
from viz import numbers
from viz.ui.controls import site_name
from viz.ui.language import say

if TYPE_CHECKING:
    from model.trace import Trace


def fidelity_badge(error: float | None, limit: float | None = None) -> str:
    """“✓ 3·10⁻⁷” or a red statement; `limit` is how far off the record's arithmetic may leave it."""
    from model.fidelity import TOLERANCE

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


def foot(name: str, sentence: str, badge: str, files: Callable[[], dict[str, Callable[[], bytes]]]) -> None:
    """Small and grey under every figure: one sentence, how well it checks, its data. `files` names the downloads."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"foot-{name}"):
        st.caption(f"{sentence} {badge}", width="stretch")
        with st.popover(say("foot.data"), type="tertiary", width="content"):
            for file, make in files().items():
                kind = file.rsplit(".", 1)[-1]
                st.download_button(
                    say(f"foot.{kind}"), make, file_name=file, key=f"{name}-{kind}", on_click="ignore", type="tertiary"
                )


def site_badge(trace: Trace, site: Site) -> str:
    """How well one sub-layer checks."""
    fidelity = trace.fidelity()
    return fidelity_badge(fidelity.sites.get(str(site)), fidelity.limits.get(str(site)))


def safe(name: str) -> str:
    """A model's name as the beginning of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "model"
