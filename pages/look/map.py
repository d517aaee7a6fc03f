"""Map: one head at any length, from the whole to single cells."""

from viz.ui import map as map_page
from viz.ui import panels, session

panels.title("map")
trace = session.current_trace()
panels.notices(trace)
map_page.show(trace)
panels.notes("map")
