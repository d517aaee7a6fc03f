"""Comparing: heads, inputs and checkpoints side by side, and their differences."""

from viz.ui import panels, session

panels.title("comparing")
trace = session.current_trace()
panels.notices(trace)
panels.notes("comparing")
