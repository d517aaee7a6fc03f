"""Overview: the sentence, its translation, and the whole model with what each part computed."""

from viz.ui import controls, panels, session

panels.headline()
trace = session.current_trace()
panels.notices(trace)
controls.overview_switch(trace)
panels.model_picture(trace)
panels.notes(panels.overview_notes(trace))
