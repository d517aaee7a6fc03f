"""Heads together: all heads on one word, concatenated contexts, W_O, and each head's own share of the output."""

from viz.ui import panels, session, together

panels.title("together")
trace = session.current_trace()
panels.notices(trace)
together.show(trace)
panels.notes("together")
