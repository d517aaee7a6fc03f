"""Measures: what every head does, in numbers."""

from viz.ui import panels, session

panels.title("measures")
trace = session.current_trace()
panels.notices(trace)
panels.notes("measures")
