"""Heads together: all heads on one word, concatenated contexts, W_O, and each head's own share of the output."""

from viz.ui.contributions import page as contributions
from viz.ui.shared import page, page_text

trace = page.open("together")
contributions.show(trace)
page_text.notes("together")
