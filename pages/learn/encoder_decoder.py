"""Encoder–decoder: what each stack reads, where Q, K and V come from, and which source words a target word looks at."""

from viz.ui import encoder_decoder, page, panels

trace = page.open("encoder_decoder")
encoder_decoder.show(trace)
panels.notes("encoder_decoder")
