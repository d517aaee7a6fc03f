"""Generation: greedy, beam search and sampling, one recorded step at a time."""

from viz.ui import panels, session

panels.title("generation")
trace = session.current_trace()
panels.notices(trace)
panels.notes("generation")
