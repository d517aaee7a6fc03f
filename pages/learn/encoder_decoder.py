"""Encoder–decoder: what each stack reads, where Q, K and V come from, and which source words a target word looks at."""

from viz.ui import encoder_decoder, panels, session

panels.title("encoder_decoder")
trace = session.current_trace()
panels.notices(trace)
encoder_decoder.show(trace)
panels.notes("encoder_decoder")
