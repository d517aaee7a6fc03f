"""Figures of plotly: for notebooks and HTML files, and on a page where lines are brushed or a space is turned."""
