"""Comparing: heads side by side, all pairs of heads, one head on two inputs, two checkpoints."""

from viz.ui import comparing, page, panels

trace = page.open("comparing")
part = comparing.show(trace)
panels.notes("comparing", "" if part == "heads" else part)
