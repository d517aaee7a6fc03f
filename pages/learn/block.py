"""The block: the residual stream, LayerNorm, the feed-forward layer's units, and any recorded activation."""

from viz.ui.block import page as block
from viz.ui.shared import page, page_text

trace = page.open("block")
block.show(trace)
page_text.notes("block")
