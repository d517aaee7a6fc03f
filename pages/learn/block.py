"""The block: residual stream, LayerNorm, feed-forward units, and the activations of every layer."""

from viz.ui import panels, session

panels.title("block")
trace = session.current_trace()
panels.notices(trace)
panels.notes("block")
