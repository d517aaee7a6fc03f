"""Heads: one attention head as a matrix to click in, and all heads of its site as lines between the tokens."""

import streamlit as st

from viz.ui import controls, figures, frame, joint, lines, page, panels

trace = page.open("heads", look=True)
controls.head_picker(trace)
panels.selection_line(trace)
with st.container(key="figures"):
    left, right = st.columns([5, 4], gap="medium")
with left:
    figures.attention_matrix(trace)
with right:
    figures.beside(trace)
    lines.attention_lines(trace)
frame.link("steps", panels.say("door.cell"))
joint.joint_view(trace)
panels.notes("heads")
