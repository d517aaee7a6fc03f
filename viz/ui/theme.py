"""Whether the page is light or dark, for what is drawn outside of Streamlit's own colours."""

from __future__ import annotations

import streamlit as st


def theme() -> str:
    """ "light" or "dark"."""
    return "dark" if st.context.theme.type == "dark" else "light"
