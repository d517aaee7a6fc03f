"""Generation: greedy, beam search and sampling, one recorded step at a time, and what a cache of keys and values saves."""

from viz.ui import generation, panels, session

panels.title("generation")
trace = session.current_trace()
panels.notices(trace)
generation.show(trace)
panels.notes("generation")
