"""Headlight: see what every attention head really does. Start it with `streamlit run app.py`."""

import streamlit as st

from viz.ui import controls, frame, link, server

app = st.App(__file__, lifespan=server.lifespan, routes=server.routes())

if server.in_session():
    link.start()
    page = st.navigation(frame.sections(), position="top")
    frame.configure(page)
    controls.side_bar()
    page.run()
    link.write()
    frame.follow()
    server.settle()
