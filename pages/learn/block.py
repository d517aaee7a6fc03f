"""The block: the residual stream, LayerNorm, the feed-forward layer's units, and any recorded activation."""

from viz.ui import block, panels, session

panels.title("block")
trace = session.current_trace()
panels.notices(trace)
block.show(trace)
panels.notes("block")
