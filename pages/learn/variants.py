"""Variants: one change at a time on the selected head's recorded q, k and v, its weights before and after."""

from viz.ui import controls, page, panels, variants

trace = page.open("variants")
controls.head_picker(trace, words=False)
panels.selection_line(trace)
variants.show(trace)
panels.notes("variants")
