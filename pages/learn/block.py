"""The block: the residual stream, LayerNorm, the feed-forward layer's units, and any recorded activation."""

from viz.ui import block, page, panels

trace = page.open("block")
block.show(trace)
panels.notes("block")
