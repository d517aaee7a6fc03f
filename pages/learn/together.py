"""Heads together: all heads on one word, concatenated contexts, W_O, and each head's own share of the output."""

from viz.ui import page, panels, together

trace = page.open("together")
together.show(trace)
panels.notes("together")
