"""Figures, tables and files of a trace or an array, without Streamlit; the app is `viz/ui/`."""
