"""Text: the text itself, coloured by what a head attends to from a chosen token."""

from viz.ui import panels, reading, session

panels.title("reading")
trace = session.current_trace()
panels.notices(trace)
reading.show(trace)
panels.notes("reading")
