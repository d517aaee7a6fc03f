"""Measures: what every head does, in numbers."""

from viz.ui import measures, panels, session

panels.title("measures")
trace = session.current_trace()
panels.notices(trace)
measures.show(trace)
panels.notes("measures")
