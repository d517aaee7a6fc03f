"""Positions: how a model that reads all words at once is told where each one stands."""

from viz.ui.positions import page as positions
from viz.ui.shared import page, page_text

trace = page.open("positions")
kind = positions.show(trace)
page_text.notes("positions", "" if kind == "sinusoidal" else kind)
