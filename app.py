"""Headlight: see what every attention head really does. Start it with `streamlit run app.py`."""

import streamlit as st

from viz.ui import navigation, server
from viz.ui.shared import recent_models, side_bar
from viz.ui.state import address_bar

app = st.App(__file__, lifespan=server.lifespan, routes=server.routes(), middleware=server.middleware())

if server.in_session():
    address_bar.start()
    page = st.navigation(navigation.sections(), position="top")
    address_bar.arrive(page.url_path)
    navigation.configure(page)
    navigation.follow()
    side_bar.side_bar(page.url_path)
    server.run(page)
    address_bar.write(recent=recent_models.noted())
    server.freeze_modules()
