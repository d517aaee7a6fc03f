"""Masks: which keys a query may look at, what −∞ does to the softmax, and what goes wrong."""

from viz.ui import masks, page, panels

trace = page.open("masks")
masks.show(trace)
panels.notes("masks")
