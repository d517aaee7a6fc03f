"""Positions: how a model that reads all words at once is told where each one stands."""

from viz.ui import page, panels, positions

trace = page.open("positions")
kind = positions.show(trace)
panels.notes("positions", "" if kind == "sinusoidal" else kind)
