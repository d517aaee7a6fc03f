"""What both halves of the page Masks share: the selected head with its mask, and how a click selects a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from model.trace.site import Site
from viz.base import tokens
from viz.ui.shared import figure_footer
from viz.ui.state import view

if TYPE_CHECKING:
    from model.trace.attention_record import AttentionRecord
    from model.trace.trace import Trace
    from viz.base.check_note import CheckNote


@dataclass(frozen=True, eq=False)
class MaskSelection:
    """What is selected and what the controls say."""

    trace: Trace
    site: Site
    record: AttentionRecord
    single: AttentionRecord
    at: tuple[int, int]
    cuts: tuple[slice, slice]
    kind: str
    real: int
    width: int

    @property
    def slug(self) -> str:
        return f"{figure_footer.safe(self.trace.key.model)}-{self.site}-head{view.current().head}"

    @property
    def check(self) -> CheckNote:
        """The scores are the record's: they are as good as what the sub-layer put out says of it."""
        return figure_footer.site_badge(self.trace, self.site)

    def texts(self) -> tuple[list[str], list[str]]:
        """The labels of the queries drawn, and of all keys."""
        rows = tokens.query_labels(self.trace, self.site)[self.cuts[0]]
        return [label["text"] for label in rows], [label["text"] for label in tokens.key_labels(self.trace, self.site)]


def select(key: str, chosen: MaskSelection) -> None:
    """A click on a cell of queries and keys selects it."""
    picked = st.session_state[key].get("select")
    if picked and str(picked["matrix"])[0] in "SMA":
        row, column = int(picked["row"]) + chosen.cuts[0].start, int(picked["column"]) + chosen.cuts[1].start
        view.change(row=row, column=column)
