"""Atlas: every head of every layer as a thumbnail, sorted and filtered."""

from viz.ui import atlas, panels, session

panels.title("atlas")
trace = session.current_trace()
panels.notices(trace)
atlas.show(trace)
panels.notes("atlas")
