"""The app through Streamlit's AppTest: every page and every control, without a browser."""
