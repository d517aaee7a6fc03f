"""Comparing: heads side by side, all pairs of heads, one head on two inputs, two checkpoints."""

from viz.ui import comparing, panels, session

panels.title("comparing")
trace = session.current_trace()
panels.notices(trace)
part = comparing.show(trace)
panels.notes("comparing", "" if part == "heads" else part)
