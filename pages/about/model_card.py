"""Model card: what the model is, how it was trained, how well it does, and what it knows."""

from viz.ui import card, panels, session

panels.title("model_card")
card.show(session.current_model())
panels.notes("model_card")
