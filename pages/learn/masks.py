"""Masks: which keys a query may look at, what −∞ does to the softmax, and what goes wrong."""

from viz.ui import masks, panels, session

panels.title("masks")
trace = session.current_trace()
panels.notices(trace)
masks.show(trace)
panels.notes("masks")
