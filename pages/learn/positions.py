"""Positions: how a model that reads all words at once is told where each one stands."""

from viz.ui import panels, positions, session

panels.title("positions")
trace = session.current_trace()
panels.notices(trace)
kind = positions.show(trace)
panels.notes("positions", "" if kind == "sinusoidal" else kind)
