"""Heads: one attention head as a matrix to click in, and all heads of its site as lines between the tokens."""

import streamlit as st

from viz.ui import navigation
from viz.ui.heads import joint_matrix, lines, notable
from viz.ui.heads import matrix as head_matrix
from viz.ui.shared import page, page_text, side_bar, sink
from viz.ui.state import view

trace = page.open("heads", card_hint=True)
side_bar.head_picker(trace, sinks=True)
notable.line(trace)
page_text.selection_line(trace)
sink.say_share(trace, *view.selected()[:2])
with st.container(key="figures"):
    left, right = st.columns([5, 4], gap="medium")
with left:
    head_matrix.attention_matrix(trace)
with right:
    head_matrix.beside(trace)
    lines.attention_lines(trace)
navigation.link("steps", page_text.say("door.cell"))
joint_matrix.joint_view(trace)
page_text.notes("heads")
