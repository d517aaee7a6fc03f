"""Comparing: heads side by side, all pairs of heads, one head on two inputs, two checkpoints."""

from viz.ui.compare import page as compare
from viz.ui.shared import page, page_text

trace = page.open("comparing")
part = compare.show(trace)
page_text.notes("comparing", "" if part == "heads" else part)
