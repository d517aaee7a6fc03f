"""Reading: the text itself, coloured by what a head attends to from a chosen token."""

from viz.ui import panels, session

panels.title("reading")
trace = session.current_trace()
panels.notices(trace)
panels.notes("reading")
