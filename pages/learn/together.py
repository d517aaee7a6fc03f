"""Heads together: concatenated contexts, W_O, and each head's own share of the output."""

from viz.ui import panels, session

panels.title("together")
trace = session.current_trace()
panels.notices(trace)
panels.notes("together")
