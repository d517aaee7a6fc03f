"""Masks: which keys a query may look at, and what the softmax does with the rest."""

from viz.ui import panels, session

panels.title("masks")
trace = session.current_trace()
panels.notices(trace)
panels.notes("masks")
