"""The app in Streamlit: what a session looks at, what pages share, and one folder a page."""
