"""The smallest Streamlit page: what a cold start costs before any of this project's code."""

import streamlit as st

st.title("empty")
