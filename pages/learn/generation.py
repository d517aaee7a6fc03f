"""Generation: greedy, beam search and sampling, one recorded step at a time, and what a cache of keys and values saves."""

from viz.ui.generation import page as generation
from viz.ui.shared import page, page_text

trace = page.open("generation")
generation.show(trace)
page_text.notes("generation")
