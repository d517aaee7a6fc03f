"""Map: one head at any length, from the whole to single cells."""

from viz.ui import map as map_page
from viz.ui import page, panels

trace = page.open("map")
map_page.show(trace)
panels.notes("map")
