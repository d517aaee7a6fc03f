"""Encoder–decoder: what each stack reads, where Q, K and V come from, and which source words a target word looks at."""

from viz.ui.encoder_decoder import page as encoder_decoder
from viz.ui.shared import page, page_text

trace = page.open("encoder_decoder")
encoder_decoder.show(trace)
page_text.notes("encoder_decoder")
