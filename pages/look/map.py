"""Map: one head at any length, from the whole to single cells."""

from viz.ui.map import page as map_page
from viz.ui.shared import page, page_text

trace = page.open("map")
map_page.show(trace)
page_text.notes("map")
