"""Overview: the sentence, its translation, and the whole model with what each part computed."""

from viz.ui import controls, panels, picture, session

panels.headline()
trace = session.current_trace()
panels.notices(trace, look=True)
controls.overview_switch(trace)
picture.model_picture(trace)
panels.notes(picture.notes_key(trace))
