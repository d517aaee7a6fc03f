"""Measures: what every head does, in numbers."""

from viz.ui import measures, page, panels

trace = page.open("measures")
measures.show(trace)
panels.notes("measures")
