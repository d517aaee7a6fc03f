"""Generation: greedy, beam search and sampling, one recorded step at a time, and what a cache of keys and values saves."""

from viz.ui import generation, page, panels

trace = page.open("generation")
generation.show(trace)
panels.notes("generation")
