"""Text: the text itself, coloured by what a head attends to from a chosen token."""

from viz.ui import page, panels, reading

trace = page.open("reading")
reading.show(trace)
panels.notes("reading")
