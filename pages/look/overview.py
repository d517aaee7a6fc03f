"""Overview: the sentence, its translation, and the whole model with what each part computed."""

import streamlit as st

from viz.ui import frame, panels, session

panels.headline()
trace = session.current_trace()
panels.notices(trace)
panels.model_picture(trace)
doors = st.columns(3)
with doors[0]:
    frame.link("heads", panels.say("door.heads"))
with doors[1]:
    frame.link("steps", panels.say("door.steps"))
with doors[2]:
    frame.link("by_hand", panels.say("door.by_hand"))
panels.notes("overview")
