"""Corpus: how heads behave over thousands of texts."""

from viz.ui import panels, session

panels.title("corpus")
trace = session.current_trace()
panels.notices(trace)
panels.notes("corpus")
