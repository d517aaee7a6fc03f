"""Output: what the model makes of its input, and what else it might have said."""

from viz.ui import output, panels, session

panels.title("output")
trace = session.current_trace()
panels.notices(trace)
output.show(trace)
panels.notes("output")
