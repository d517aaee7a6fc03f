"""Atlas: every head of every layer as a thumbnail, sorted and filtered."""

from viz.ui import atlas, page, panels

trace = page.open("atlas")
atlas.show(trace)
panels.notes("atlas")
