"""Forming: one head at every step of a training, its measures as curves, and two steps beside each other."""

from viz.ui.forming import page as forming
from viz.ui.shared import page_text

page_text.title("forming")
forming.show()
page_text.notes("forming")
