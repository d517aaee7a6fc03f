"""A trace or an array becomes a figure, a table or a file: everything that draws and knows no Streamlit."""
