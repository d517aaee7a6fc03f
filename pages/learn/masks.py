"""Masks: which keys a query may look at, what −∞ does to the softmax, and what goes wrong."""

from viz.ui.masks import page as masks
from viz.ui.shared import page, page_text

trace = page.open("masks")
masks.show(trace)
page_text.notes("masks")
